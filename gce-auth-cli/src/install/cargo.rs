//! Cargo's `config.toml`: `credential-provider` in the table of a registry.

use crate::{
    exit::Failure,
    install::edit::{Edit, refused},
};

const KEY: &str = "credential-provider";
const MARK: &str = " # by gce-auth helper install";
/// The names of this executable that are a provider.
const NAMES: [&str; 2] = ["gce-auth", "cargo-credential-gce-auth"];

/// Names this provider for the registries of these names. Each must have a table of its own.
pub(crate) fn install(
    text: Option<&str>,
    registries: &[String],
    program: &str,
) -> Result<Edit, Failure> {
    let mut lines: Vec<String> = text
        .unwrap_or_default()
        .split_inclusive('\n')
        .map(str::to_owned)
        .collect();
    let mut changes = Vec::new();
    // A literal string of TOML has no escapes.
    if program.contains('\'') {
        return Err(refused(format!("{program} has a quote in its path")));
    }
    let line = format!("{KEY} = ['{program}']{MARK}");
    for registry in registries {
        let Some(header) = lines.iter().position(|line| is_table(line, registry)) else {
            return Err(refused(format!(
                "there is no table [registries.{registry}]; add it with the index of the registry"
            )));
        };
        let mut table = lines[header + 1..]
            .iter_mut()
            .take_while(|line| !line.trim_start().starts_with('['));
        let known = table.find(|line| line.trim_start().starts_with(KEY));
        match known {
            Some(known) if content(known) == line => continue,
            // The executable was elsewhere.
            Some(known) if content(known).ends_with(MARK) => {
                let content = content(known).to_owned();
                let end = known.split_off(content.len());
                *known = format!("{line}{end}");
                changes.push(format!("- [registries.{registry}] {content}"));
                changes.push(format!("+ [registries.{registry}] {line}"));
                continue;
            }
            Some(known) if names(known, program) => continue,
            Some(_) => {
                return Err(refused(format!(
                    "[registries.{registry}] has a credential-provider; remove that line first"
                )));
            }
            None => {}
        }
        let inserted = match lines[header].ends_with('\n') {
            true => format!("{line}\n"),
            false => format!("\n{line}"),
        };
        lines.insert(header + 1, inserted);
        changes.push(format!("+ [registries.{registry}] {line}"));
    }
    if changes.is_empty() {
        return Ok(Edit::none());
    }
    Ok(Edit::text(lines.concat(), changes))
}

/// Removes this provider from all registries.
pub(crate) fn undo(text: &str) -> Edit {
    let is_ours = |line: &str| content(line).ends_with(MARK);
    let mut changes = Vec::new();
    let mut rest = String::new();
    for line in text.split_inclusive('\n') {
        if !is_ours(line) {
            rest.push_str(line);
            continue;
        }
        changes.push(format!("- {}", line.trim_end()));
        // It was put behind a last line without an end.
        if !line.ends_with('\n') && rest.ends_with('\n') {
            rest.pop();
        }
    }
    if changes.is_empty() {
        return Edit::none();
    }
    Edit::text(rest, changes)
}

/// Returns a line without its end.
fn content(line: &str) -> &str {
    line.trim_end_matches(['\n', '\r'])
}

/// Returns the provider that was named here, or else by a person.
pub(crate) fn program_in(text: &str) -> Option<&str> {
    let lines = || {
        text.lines()
            .filter(|line| line.trim_start().starts_with(KEY))
    };
    let ours = lines().find(|line| line.ends_with(MARK));
    let line = ours.or_else(|| lines().find(|line| first_word(line).is_some_and(is_named)))?;
    first_word(line)
}

/// Returns the first string of a value: the path of a provider.
fn first_word(line: &str) -> Option<&str> {
    let quote = line.find(['"', '\''])?;
    let (quote, rest) = line[quote..].split_at(1);
    Some(rest.split_once(quote)?.0)
}

fn is_named(path: &str) -> bool {
    let name = path.rsplit(['/', '\\']).next().unwrap_or_default();
    NAMES.contains(&name.strip_suffix(".exe").unwrap_or(name))
}

/// Returns whether a person's line names this provider, without options.
fn names(line: &str, program: &str) -> bool {
    let Some((_, value)) = line.split_once('=') else {
        return false;
    };
    let value = value.split('#').next().unwrap_or_default().trim();
    let inner = value
        .strip_prefix('[')
        .and_then(|value| value.strip_suffix(']'));
    let inner = inner.unwrap_or(value).trim();
    ['"', '\'']
        .map(|quote| format!("{quote}{program}{quote}"))
        .contains(&inner.to_owned())
}

/// Returns whether the line is the header of a registry's table.
fn is_table(line: &str, registry: &str) -> bool {
    let line = line.split('#').next().unwrap_or_default();
    let spaceless: String = line.split_whitespace().collect();
    [
        format!("[registries.{registry}]"),
        format!("[registries.\"{registry}\"]"),
        format!("[registries.'{registry}']"),
    ]
    .contains(&spaceless)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::install::edit::After;

    const PROGRAM: &str = "/usr/bin/gce-auth";

    fn install_in(text: &str, registry: &str) -> Result<Edit, Failure> {
        install(Some(text), &[registry.to_owned()], PROGRAM)
    }

    #[test]
    fn each_file_is_as_it_was_after_undo() {
        for text in [
            "[registries.mine]\nindex = 'sparse+https://a.example/'\n",
            "paths = []\n\n[registries.mine] # ours\nindex = \"x\"\n[build]\njobs = 1\n",
            "[registries.\"mine\"]",
            "[build]\n\n\n[registries.mine]\n\n\n",
        ] {
            let edit = install_in(text, "mine").unwrap();
            let After::Text(edited) = edit.after else {
                panic!("{text}")
            };
            assert!(edited.contains(PROGRAM), "{edited}");
            assert_eq!(program_in(&edited), Some(PROGRAM));
            assert_eq!(install_in(&edited, "mine").unwrap(), Edit::none());
            assert_eq!(undo(&edited).after, After::Text(text.to_owned()));
            assert_eq!(undo(text), Edit::none());

            let moved = install(Some(&edited), &["mine".to_owned()], "/opt/gce-auth").unwrap();
            let After::Text(moved) = moved.after else {
                panic!("{text}")
            };
            assert_eq!(program_in(&moved), Some("/opt/gce-auth"));
            assert!(!moved.contains(PROGRAM), "{moved}");
            assert_eq!(undo(&moved).after, After::Text(text.to_owned()));
        }
    }

    #[test]
    fn the_same_provider_of_a_person_stays() {
        for line in [
            "credential-provider = ['/usr/bin/gce-auth']",
            "credential-provider=\"/usr/bin/gce-auth\" # mine",
        ] {
            let text = format!("[registries.mine]\n{line}\n");
            assert_eq!(install_in(&text, "mine").unwrap(), Edit::none(), "{line}");
            assert_eq!(program_in(&text), Some(PROGRAM));
            assert_eq!(undo(&text), Edit::none());
        }
    }

    #[test]
    fn a_registry_needs_a_table_and_keeps_its_provider() {
        for text in [
            "",
            "registries.mine.index = 'x'\n",
            "[registries.other]\n",
            "[registries.mine]\ncredential-provider = ['cargo:token']\n",
        ] {
            assert!(install_in(text, "mine").is_err(), "{text}");
        }
        // Another table's provider is not this one's.
        let text = "[registries.mine]\nindex = 'x'\n[registries.b]\ncredential-provider = 'c'\n";
        assert!(install_in(text, "mine").is_ok());
    }
}
