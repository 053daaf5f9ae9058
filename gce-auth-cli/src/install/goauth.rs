//! Go's environment file: GOAUTH is a list of commands.

use crate::{
    exit::Failure,
    install::{
        edit::{After, Edit, refused},
        marked::{is_same, without_mark},
    },
};

const NAME: &str = "GOAUTH=";

/// What stands behind the program.
const HELPER: &str = " helper goauth";

/// What stands behind the command in a line that was made here: no space, as before other commands.
const MADE: &str = ";netrc\n";

/// What stands between the command and others.
const BEFORE: &str = "; ";

/// What stands behind it in a file that was empty before.
const IN_EMPTY: &str = ";\tnetrc\n";

fn command(program: &str) -> String {
    format!("{program}{HELPER}")
}

/// Returns the first command of a value, if it is one of an edit: by a path with the mark, before
/// others as an edit puts it, and of an executable with the name of this one, wherever it was.
/// `rest` is the text from the value on.
fn own<'a>(rest: &'a str, program: &str) -> Option<&'a str> {
    let name = |path: &str| {
        let (_, name) = path.rsplit_once(['/', '\\'])?;
        Some(name.to_owned())
    };
    let value = rest.lines().next()?;
    let (command, _) = value.split_once(';')?;
    let others = &rest[command.len()..];
    let is_put = [MADE, IN_EMPTY, BEFORE]
        .iter()
        .any(|form| others.starts_with(form));
    let found = name(&without_mark(command.strip_suffix(HELPER)?)?);
    (is_put && found.is_some() && found == name(program)).then_some(command)
}

/// Returns whether one of the commands is this helper of this program, with the mark or without.
fn is_named(value: &str, program: &str) -> bool {
    let mut programs = value
        .split(';')
        .filter_map(|command| command.trim().strip_suffix(HELPER));
    programs.any(|named| is_same(named, program))
}

/// Puts this command before the others of GOAUTH. Without GOAUTH Go reads netrc, which stays.
/// `program` has the mark, by which the edit is known again.
pub(crate) fn install(text: Option<&str>, program: &str) -> Result<Edit, Failure> {
    if program.contains(char::is_whitespace) || program.contains([';', '\'', '"']) {
        // GOAUTH had no quotes before Go 1.26.
        return Err(refused(format!(
            "GOAUTH takes no path with spaces, quotes or semicolons; move {program}"
        )));
    }
    let ours = command(program);
    let end = if text == Some("") { IN_EMPTY } else { MADE };
    let text = text.unwrap_or_default();
    let Some(start) = value_at(text) else {
        let line = format!("{NAME}{ours}{end}");
        let changes = vec![format!("+ {}", line.trim_end())];
        return Ok(Edit::text(format!("{line}{text}"), changes));
    };
    let (before, rest) = text.split_at(start);
    let value = rest.lines().next().unwrap_or_default();
    if is_named(value, program) {
        return Ok(Edit::none());
    }
    if let Some(known) = own(rest, program) {
        let after = &rest[known.len()..];
        let others = &value[known.len()..];
        let changes = vec![
            format!("- {NAME}{value}"),
            format!("+ {NAME}{ours}{others}"),
        ];
        return Ok(Edit::text(format!("{before}{ours}{after}"), changes));
    }
    if value.trim() == "off" {
        return Err(refused("GOAUTH is off; remove that line first"));
    }
    let changes = vec![
        format!("- {NAME}{value}"),
        format!("+ {NAME}{ours}{BEFORE}{value}"),
    ];
    Ok(Edit::text(format!("{before}{ours}{BEFORE}{rest}"), changes))
}

/// Removes this command from GOAUTH.
pub(crate) fn undo(text: &str, program: &str) -> Edit {
    let Some(start) = value_at(text) else {
        return Edit::none();
    };
    let (before, rest) = text.split_at(start);
    let value = rest.lines().next().unwrap_or_default();
    let Some(ours) = own(rest, program) else {
        return Edit::none();
    };
    for (end, was_empty) in [(MADE, false), (IN_EMPTY, true)] {
        let Some(made) = rest.strip_prefix(&format!("{ours}{end}")) else {
            continue;
        };
        let before = before.strip_suffix(NAME).unwrap_or(before);
        let changes = vec![format!("- {NAME}{value}")];
        let rest = format!("{before}{made}");
        let after = if rest.is_empty() && !was_empty {
            After::Gone
        } else {
            After::Text(rest)
        };
        return Edit { after, changes };
    }
    let Some(others) = rest.strip_prefix(&format!("{ours}{BEFORE}")) else {
        return Edit::none();
    };
    let changes = vec![format!("- {NAME}{value}")];
    Edit::text(format!("{before}{others}"), changes)
}

/// Returns the program of the helper in GOAUTH.
pub(crate) fn program_in(text: &str) -> Option<&str> {
    let value = text[value_at(text)?..].lines().next()?;
    let commands = value.split(';').map(str::trim);
    let mut programs = commands.filter_map(|command| command.strip_suffix(HELPER));
    programs.next()
}

/// Returns where the value of GOAUTH begins: in the last of its lines, which Go reads.
fn value_at(text: &str) -> Option<usize> {
    let mut found = None;
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        if line.starts_with(NAME) {
            found = Some(at + NAME.len());
        }
        at += line.len();
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROGRAM: &str = "/usr/bin/./gce-auth";

    #[test]
    fn each_file_is_as_it_was_after_undo() {
        for text in [
            "GOPROXY=direct\n",
            "# comment\nGOAUTH=netrc\nGOPROXY=direct",
            "GOAUTH=git /src; netrc",
            "GOAUTH=\n",
            "",
        ] {
            let edit = install(Some(text), PROGRAM).unwrap();
            let After::Text(edited) = edit.after else {
                panic!("{text}")
            };
            assert!(
                edited.contains("/usr/bin/./gce-auth helper goauth;"),
                "{edited}"
            );
            assert_eq!(program_in(&edited), Some(PROGRAM));
            assert_eq!(install(Some(&edited), PROGRAM).unwrap(), Edit::none());
            assert_eq!(undo(&edited, PROGRAM).after, After::Text(text.to_owned()));
            assert_eq!(undo(text, PROGRAM), Edit::none());

            let After::Text(moved) = install(Some(&edited), "/opt/./gce-auth").unwrap().after
            else {
                panic!("{text}")
            };
            assert_eq!(program_in(&moved), Some("/opt/./gce-auth"));
            assert!(!moved.contains(PROGRAM), "{moved}");
            // By either executable.
            for program in [PROGRAM, "/opt/./gce-auth"] {
                assert_eq!(undo(&moved, program).after, After::Text(text.to_owned()));
            }
        }
        let After::Text(made) = install(None, PROGRAM).unwrap().after else {
            panic!("nothing was made")
        };
        assert_eq!(made, "GOAUTH=/usr/bin/./gce-auth helper goauth;netrc\n");
        assert_eq!(undo(&made, PROGRAM).after, After::Gone);
    }

    #[test]
    fn what_others_wrote_is_not_replaced() {
        for text in [
            "GOAUTH=gce-auth helper goauth; netrc\n",
            "GOAUTH=/opt/other helper goauth; netrc\n",
            "GOAUTH=/opt/./other helper goauth; netrc\n",
            "GOAUTH=/opt/./gce-auth helper goauth;other\n",
            "GOAUTH=/opt/./gce-auth helper goauth;netrc",
            "GOAUTH=/opt/gce-auth helper goauth; netrc\n",
            "GOAUTH=/opt/gce-auth helper goauth;netrc\n",
        ] {
            assert_eq!(undo(text, PROGRAM), Edit::none());
            let After::Text(edited) = install(Some(text), PROGRAM).unwrap().after else {
                panic!("{text}")
            };
            assert_eq!(undo(&edited, PROGRAM).after, After::Text(text.to_owned()));
        }
    }

    #[test]
    fn the_same_command_of_a_person_is_not_repeated_and_stays() {
        for text in [
            "GOAUTH=/usr/bin/gce-auth helper goauth;netrc\n",
            "GOAUTH=/usr/bin/gce-auth helper goauth; netrc\n",
            "GOAUTH=netrc; /usr/bin/gce-auth helper goauth",
        ] {
            assert_eq!(install(Some(text), PROGRAM).unwrap(), Edit::none());
            assert_eq!(undo(text, PROGRAM), Edit::none());
        }
    }

    #[test]
    fn what_go_does_not_take_is_refused() {
        assert!(install(None, "/with space/gce-auth").is_err());
        assert!(install(Some("GOAUTH=off\n"), PROGRAM).is_err());
    }
}
