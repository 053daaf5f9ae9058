//! gcloud's configuration files: the project of the active configuration
//! (Google, "Managing gcloud CLI configurations"). gcloud itself is not run.

/// The file, below gcloud's directory, that names the active configuration.
pub(crate) const ACTIVE: &str = "active_config";

/// The file, below gcloud's directory, of the configuration that is active:
/// `named` in the environment, else in the text of [`ACTIVE`], else `default`.
/// `None` where the name cannot be one.
pub(crate) fn file(named: Option<&str>, active: Option<&str>) -> Option<String> {
    let name = named
        .or(active)
        .map(str::trim)
        .filter(|name| !name.is_empty());
    let name = name.unwrap_or("default");
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    name.bytes()
        .all(plain)
        .then(|| format!("configurations/config_{name}"))
}

/// The project in a configuration file: `project` of the section `core`.
pub(crate) fn project(text: &str) -> Option<String> {
    let mut in_core = false;
    for line in text.lines().map(str::trim) {
        if let Some(name) = line
            .strip_prefix('[')
            .and_then(|line| line.strip_suffix(']'))
        {
            in_core = name.trim() == "core";
            continue;
        }
        if !in_core || line.starts_with(['#', ';']) {
            continue;
        }
        if let Some((name, value)) = line.split_once(['=', ':']) {
            let value = value.trim();
            if name.trim() == "project" && !value.is_empty() {
                return Some(value.to_owned());
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_comes_before_the_file_before_default() {
        assert_eq!(file(None, None).unwrap(), "configurations/config_default");
        assert_eq!(
            file(None, Some("work\n")).unwrap(),
            "configurations/config_work"
        );
        assert_eq!(
            file(Some("x"), Some("work")).unwrap(),
            "configurations/config_x"
        );
        assert_eq!(
            file(Some("a-b_C1"), None).unwrap(),
            "configurations/config_a-b_C1"
        );
        assert_eq!(file(Some("../x"), None), None);
    }

    #[test]
    fn the_project_of_the_core_section_counts() {
        let text =
            "[compute]\nproject = other\n[core]\naccount = a@x\n# project = no\nproject = p-1\n";
        assert_eq!(project(text).as_deref(), Some("p-1"));
        assert_eq!(project("[core]\nproject=\n[auth]\nproject = q"), None);
        assert_eq!(project(""), None);
    }
}
