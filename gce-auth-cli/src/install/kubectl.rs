//! kubeconfig: users that run `gke-gcloud-auth-plugin` run this helper instead. Only these values
//! change; what they were stands beside them.

use crate::{
    exit::Failure,
    install::edit::{Edit, refused},
};

const PLUGIN: &str = "gke-gcloud-auth-plugin";
const WAS: &str = " # gce-auth: was ";

/// Replaces the plugin of all users by `program`, and what an edit before put there.
pub(crate) fn install(text: Option<&str>, program: &str) -> Result<Edit, Failure> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/\\._-:".contains(&byte);
    if !program.bytes().all(plain) {
        return Err(refused(format!(
            "{program} is no plain value in YAML; move it"
        )));
    }
    let text = text.unwrap_or_default();
    let mut changes = Vec::new();
    let edited: String = text
        .split_inclusive('\n')
        .map(|line| match value_of(line) {
            Some((before, value, end)) => {
                let was = match value.split_once(WAS) {
                    Some((known, was)) if known != program => was,
                    None if is_plugin(value) => value,
                    _ => return line.to_owned(),
                };
                changes.push(format!("- command: {value}"));
                changes.push(format!("+ command: {program}{WAS}{was}"));
                format!("{before}{program}{WAS}{was}{end}")
            }
            None => line.to_owned(),
        })
        .collect();
    if !changes.is_empty() {
        return Ok(Edit::text(edited, changes));
    }
    if program_in(text).is_some() {
        return Ok(Edit::none());
    }
    Err(refused(format!(
        "no user runs {PLUGIN}; run `kubectl config set-credentials USER --exec-command={program} \
         --exec-api-version=client.authentication.k8s.io/v1 --exec-interactive-mode=Never`"
    )))
}

/// Gives all users their plugins back.
pub(crate) fn undo(text: &str) -> Edit {
    let mut changes = Vec::new();
    let edited: String = text
        .split_inclusive('\n')
        .map(|line| {
            let was = value_of(line).and_then(|(before, value, end)| {
                let (program, was) = value.split_once(WAS)?;
                changes.push(format!("- command: {program}"));
                changes.push(format!("+ command: {was}"));
                Some(format!("{before}{was}{end}"))
            });
            was.unwrap_or_else(|| line.to_owned())
        })
        .collect();
    if changes.is_empty() {
        return Edit::none();
    }
    Edit::text(edited, changes)
}

/// Returns the program that a user runs by an edit of [`install`].
pub(crate) fn program_in(text: &str) -> Option<&str> {
    text.lines().find_map(|line| {
        let (_, value, _) = value_of(line)?;
        Some(value.split_once(WAS)?.0)
    })
}

/// Splits a line `command: VALUE` before and after the value.
fn value_of(line: &str) -> Option<(&str, &str, &str)> {
    let content = line.trim_end_matches(['\n', '\r', ' ', '\t']);
    let start = content.trim_start_matches([' ', '-']);
    let rest = start.strip_prefix("command:")?;
    let value = rest.trim_start();
    let at = content.len() - value.len();
    Some((&line[..at], value, &line[content.len()..]))
}

fn is_plugin(value: &str) -> bool {
    let value = value.trim_matches(['"', '\'']);
    let name = value.rsplit(['/', '\\']).next().unwrap_or_default();
    name.strip_suffix(".exe").unwrap_or(name) == PLUGIN
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::install::edit::After;

    const PROGRAM: &str = "/usr/bin/gce-auth-kubectl";

    #[test]
    fn each_file_is_as_it_was_after_undo() {
        for text in [
            "users:\n- name: a\n  user:\n    exec:\n      apiVersion: client.authentication.k8s.io/v1beta1\n      command: gke-gcloud-auth-plugin\n      installHint: x\n",
            "  - command: \"/opt/sdk/bin/gke-gcloud-auth-plugin\"  \r\n    args: []",
            "command: gke-gcloud-auth-plugin",
            "command: aws\ncommand: 'C:\\sdk\\gke-gcloud-auth-plugin.exe'\n",
        ] {
            let edit = install(Some(text), PROGRAM).unwrap();
            let After::Text(edited) = edit.after else {
                panic!("{text}")
            };
            assert!(
                edited.contains("command: /usr/bin/gce-auth-kubectl # "),
                "{edited}"
            );
            assert_eq!(
                edited.contains("command: aws"),
                text.contains("command: aws")
            );
            assert_eq!(program_in(&edited), Some(PROGRAM));
            assert_eq!(install(Some(&edited), PROGRAM).unwrap(), Edit::none());
            assert_eq!(undo(&edited).after, After::Text(text.to_owned()));
            assert_eq!(undo(text), Edit::none());

            let moved = install(Some(&edited), "/opt/gce-auth-kubectl").unwrap();
            let After::Text(moved) = moved.after else {
                panic!("{text}")
            };
            assert_eq!(program_in(&moved), Some("/opt/gce-auth-kubectl"));
            assert!(!moved.contains(PROGRAM), "{moved}");
            assert_eq!(undo(&moved).after, After::Text(text.to_owned()));
        }
    }

    #[test]
    fn without_the_plugin_nothing_changes() {
        for text in [
            "",
            "command: aws\n",
            "# gke-gcloud-auth-plugin\n",
            "name: gke-gcloud-auth-plugin\n",
        ] {
            assert!(install(Some(text), PROGRAM).is_err(), "{text}");
        }
        assert!(install(Some("command: gke-gcloud-auth-plugin\n"), "/a b").is_err());
    }
}
