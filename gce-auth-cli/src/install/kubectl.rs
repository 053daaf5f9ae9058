//! kubeconfig: users that run `gke-gcloud-auth-plugin` run this helper instead. Only these values
//! change; what they were stands beside them, in a comment. `kubectl config` writes the file anew
//! without comments: then the mark in the path tells which values were changed.

use crate::{
    exit::Failure,
    install::{
        edit::{Edit, refused},
        marked::{is_same, without_mark},
    },
};

const PLUGIN: &str = "gke-gcloud-auth-plugin";
const HELPER: &str = "gce-auth-kubectl";
const WAS: &str = " # gce-auth: was ";

/// Replaces the plugin of all users by `program`, and what an edit before put there. `program` has
/// the mark.
pub(crate) fn install(text: Option<&str>, program: &str) -> Result<Edit, Failure> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/\\._-:".contains(&byte);
    if !program.bytes().all(is_plain) {
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
                let was = match was(value) {
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
    let named = |value| was(value).map_or_else(|| plain(value), |(known, _)| known);
    let mut values = text.lines().filter_map(value_of);
    if values.any(|(_, value, _)| is_same(named(value), program)) {
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
                let (program, was) = was(value)?;
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

/// Returns the program that a user runs by an edit of [`install`], or else by a person's.
pub(crate) fn program_in(text: &str) -> Option<&str> {
    let values = || text.lines().filter_map(value_of);
    let mut edited = values().filter_map(|(_, value, _)| Some(was(value)?.0));
    let mut named = values().map(|(_, value, _)| plain(value));
    edited
        .next()
        .or_else(|| named.find(|value| name_of(value) == HELPER))
}

/// Returns the program of a value that was changed here, and what the value was.
fn was(value: &str) -> Option<(&str, &str)> {
    if let Some((program, was)) = value.split_once(WAS) {
        return Some((program, was));
    }
    let program = plain(value);
    let is_marked = without_mark(program).is_some();
    (is_marked && name_of(program) == HELPER).then_some((program, PLUGIN))
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

fn plain(value: &str) -> &str {
    value.trim_matches(['"', '\''])
}

fn is_plugin(value: &str) -> bool {
    name_of(plain(value)) == PLUGIN
}

/// Returns the last part of a path, without `.exe`.
fn name_of(path: &str) -> &str {
    let name = path.rsplit(['/', '\\']).next().unwrap_or_default();
    name.strip_suffix(".exe").unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::install::edit::After;

    const PROGRAM: &str = "/usr/bin/./gce-auth-kubectl";

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
                edited.contains("command: /usr/bin/./gce-auth-kubectl # "),
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

            let moved = install(Some(&edited), "/opt/./gce-auth-kubectl").unwrap();
            let After::Text(moved) = moved.after else {
                panic!("{text}")
            };
            assert_eq!(program_in(&moved), Some("/opt/./gce-auth-kubectl"));
            assert!(!moved.contains(PROGRAM), "{moved}");
            assert_eq!(undo(&moved).after, After::Text(text.to_owned()));
        }
    }

    /// As `kubectl config` does.
    #[test]
    fn a_file_without_its_comments_is_undone() {
        let text = "users:\n- command: gke-gcloud-auth-plugin\n";
        let edited = text.replace(PLUGIN, &format!("\"{PROGRAM}\""));
        assert_eq!(program_in(&edited), Some(PROGRAM));
        assert_eq!(install(Some(&edited), PROGRAM).unwrap(), Edit::none());
        assert_eq!(undo(&edited).after, After::Text(text.to_owned()));
    }

    #[test]
    fn the_same_command_of_a_person_stays() {
        let text = "- command: /usr/bin/gce-auth-kubectl\n";
        assert_eq!(install(Some(text), PROGRAM).unwrap(), Edit::none());
        assert_eq!(program_in(text), Some("/usr/bin/gce-auth-kubectl"));
        assert_eq!(undo(text), Edit::none());
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
