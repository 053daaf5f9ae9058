//! Where tools keep their configuration. Pure: variables come as a function.

use std::path::PathBuf;

/// Returns the configuration files of a tool, by the variables that the tool itself reads: kubectl
/// alone has several. None if there is no home directory.
pub(crate) fn files(tool: &str, var: impl Fn(&str) -> Option<String>) -> Vec<PathBuf> {
    let list = var("KUBECONFIG").filter(|list| tool == "kubectl" && !list.is_empty());
    match list {
        Some(list) => std::env::split_paths(&list)
            .filter(|file| !file.as_os_str().is_empty())
            .collect(),
        None => file(tool, var).into_iter().collect(),
    }
}

/// Returns the configuration file of a tool that has one.
pub(crate) fn file(tool: &str, var: impl Fn(&str) -> Option<String>) -> Option<PathBuf> {
    let path = |name: &str| {
        var(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    let home = || path("HOME").or_else(|| path("USERPROFILE"));
    let in_home = |name: &str| home().map(|home| home.join(name));
    match tool {
        "docker" => match path("DOCKER_CONFIG") {
            Some(folder) => Some(folder.join("config.json")),
            None => in_home(".docker/config.json"),
        },
        "git" => path("GIT_CONFIG_GLOBAL").or_else(|| in_home(".gitconfig")),
        "cargo" => match path("CARGO_HOME") {
            Some(folder) => Some(folder.join("config.toml")),
            None => in_home(".cargo/config.toml"),
        },
        "kubectl" => in_home(".kube/config"),
        "goauth" if turned_off(tool, &var).is_some() => None,
        "goauth" => path("GOENV").or_else(|| {
            let folder = if cfg!(windows) {
                path("AppData")
            } else if cfg!(target_os = "macos") {
                in_home("Library/Application Support")
            } else {
                path("XDG_CONFIG_HOME").or_else(|| in_home(".config"))
            };
            folder.map(|folder| folder.join("go/env"))
        }),
        "bazel" => in_home(".bazelrc"),
        "npmrc" => path("npm_config_userconfig")
            .or_else(|| path("NPM_CONFIG_USERCONFIG"))
            .or_else(|| in_home(".npmrc")),
        _ => None,
    }
}

/// Returns why a tool reads no configuration file of its user.
pub(crate) fn turned_off(tool: &str, var: impl Fn(&str) -> Option<String>) -> Option<&'static str> {
    let is_off = tool == "goauth" && var("GOENV").as_deref() == Some("off");
    is_off.then_some("GOENV is off, so that Go reads no file")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kubectl_has_a_list() {
        let at = |list: &str| {
            let var = |name: &str| match name {
                "KUBECONFIG" => Some(list.to_owned()),
                "HOME" => Some("/h".to_owned()),
                _ => None,
            };
            files("kubectl", var)
        };
        let [a, b] = ["/a", "/b"].map(PathBuf::from);
        let list = std::env::join_paths([&a, &PathBuf::new(), &b]).unwrap();
        assert_eq!(at(list.to_str().unwrap()), [a, b]);
        assert_eq!(at(""), [PathBuf::from("/h").join(".kube/config")]);
    }

    #[test]
    fn each_tool_has_its_own_variable() {
        let at = |tool: &str, set: &[(&str, &str)]| {
            let var = |name: &str| {
                let found = set.iter().find(|(known, _)| *known == name);
                found.map(|(_, value)| (*value).to_owned())
            };
            file(tool, var).map(|path| path.to_str().unwrap().replace('\\', "/"))
        };
        for (tool, set, expected) in [
            (
                "docker",
                &[("HOME", "/h")][..],
                Some("/h/.docker/config.json"),
            ),
            (
                "docker",
                &[("HOME", "/h"), ("DOCKER_CONFIG", "/d")],
                Some("/d/config.json"),
            ),
            (
                "git",
                &[("HOME", "/h"), ("GIT_CONFIG_GLOBAL", "/g")],
                Some("/g"),
            ),
            ("cargo", &[("HOME", "/h")], Some("/h/.cargo/config.toml")),
            (
                "kubectl",
                &[("HOME", "/h"), ("KUBECONFIG", "")],
                Some("/h/.kube/config"),
            ),
            ("goauth", &[("GOENV", "/e")], Some("/e")),
            ("goauth", &[("GOENV", "off"), ("HOME", "/h")], None),
            ("bazel", &[("USERPROFILE", "/u")], Some("/u/.bazelrc")),
            ("npmrc", &[("HOME", "")], None),
            ("keyring", &[("HOME", "/h")], None),
        ] {
            assert_eq!(at(tool, set).as_deref(), expected, "{tool}");
        }
    }
}
