//! A block of lines between two comments, at the top of a file.

use crate::{
    exit::Failure,
    install::edit::{After, Edit, refused},
};

/// In the first line of a block, if the file was made for it.
const NEW_FILE: &str = " (new file)";

/// Puts a block with these lines at the top, or in the place of the block that is there. `comment`
/// begins a comment in this file.
pub(crate) fn put(
    text: Option<&str>,
    name: &str,
    comment: char,
    lines: &str,
) -> Result<Edit, Failure> {
    let found = match text {
        Some(text) => find(text, name, comment)?,
        None => None,
    };
    let is_new = match &found {
        Some(block) => block.is_new,
        None => text.is_none(),
    };
    let mark = if is_new { NEW_FILE } else { "" };
    let block = format!(
        "{comment} >>> gce-auth helper {name}{mark}\n{lines}{comment} <<< gce-auth helper {name}\n"
    );
    let text = text.unwrap_or_default();
    let (before, old, after) = match &found {
        Some(block) => block.split(text),
        None => {
            let start = text.len() - text.trim_start_matches('\u{feff}').len();
            let (before, after) = text.split_at(start);
            (before, "", after)
        }
    };
    if old == block {
        return Ok(Edit::none());
    }
    let mut changes = changed('-', old);
    changes.extend(changed('+', &block));
    Ok(Edit::text([before, &block, after].concat(), changes))
}

/// Removes the block.
pub(crate) fn take(text: &str, name: &str, comment: char) -> Result<Edit, Failure> {
    let Some(block) = find(text, name, comment)? else {
        return Ok(Edit::none());
    };
    let (before, old, after) = block.split(text);
    let changes = changed('-', old);
    let rest = [before, after].concat();
    if block.is_new && rest.is_empty() {
        return Ok(Edit {
            after: After::Gone,
            changes,
        });
    }
    Ok(Edit::text(rest, changes))
}

/// Where a block is.
struct Found {
    start: usize,
    end: usize,
    is_new: bool,
}

impl Found {
    fn split<'a>(&self, text: &'a str) -> (&'a str, &'a str, &'a str) {
        let (rest, after) = text.split_at(self.end);
        let (before, block) = rest.split_at(self.start);
        (before, block, after)
    }
}

fn find(text: &str, name: &str, comment: char) -> Result<Option<Found>, Failure> {
    let first = format!("{comment} >>> gce-auth helper {name}");
    let last = format!("{comment} <<< gce-auth helper {name}");
    let (mut at, mut begun) = (0, None);
    for line in text.split_inclusive('\n') {
        let content = line.trim_end_matches(['\n', '\r']);
        let content = content.trim_start_matches('\u{feff}');
        let start = at + (line.len() - line.trim_start_matches('\u{feff}').len());
        at += line.len();
        match begun {
            None if content == first => begun = Some((start, false)),
            None if content.strip_prefix(&first) == Some(NEW_FILE) => begun = Some((start, true)),
            Some((start, is_new)) if content == last => {
                let end = at;
                return Ok(Some(Found { start, end, is_new }));
            }
            _ => {}
        }
    }
    match begun {
        None => Ok(None),
        Some(_) => Err(refused(format!(
            "the line {last:?} is missing after {first:?}; remove the rest of these lines by hand"
        ))),
    }
}

/// Returns the lines of a block as changes. A token in them is not shown.
fn changed(sign: char, lines: &str) -> Vec<String> {
    let shown = |line: &str| match line.split_once(":_authToken=") {
        Some((key, _)) => format!("{sign} {key}:_authToken=[redacted]"),
        None => format!("{sign} {line}"),
    };
    lines.lines().map(shown).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn put_text(text: Option<&str>, lines: &str) -> String {
        match put(text, "x", '#', lines).unwrap().after {
            After::Text(text) => text,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_block_is_replaced_and_not_repeated() {
        let once = put_text(Some("[user]\n"), "a = 1\n");
        assert_eq!(
            once,
            "# >>> gce-auth helper x\na = 1\n# <<< gce-auth helper x\n[user]\n"
        );
        assert_eq!(put(Some(&once), "x", '#', "a = 1\n").unwrap(), Edit::none());
        let twice = put(Some(&once), "x", '#', "a = 2\n").unwrap();
        assert_eq!(
            twice.after,
            After::Text(put_text(Some("[user]\n"), "a = 2\n"))
        );
        assert!(twice.changes.contains(&"- a = 1".to_owned()));
        assert!(twice.changes.contains(&"+ a = 2".to_owned()));
        // Another helper's block is not this one.
        let other = put(Some(&once), "xy", '#', "b\n").unwrap();
        assert!(matches!(other.after, After::Text(text) if text.contains("a = 1")));
    }

    #[test]
    fn a_file_that_was_made_for_it_goes() {
        let text = put_text(None, "a\n");
        assert_eq!(take(&text, "x", '#').unwrap().after, After::Gone);
        let edited = format!("{text}[user]\n");
        let rest = take(&edited, "x", '#').unwrap().after;
        assert_eq!(rest, After::Text("[user]\n".to_owned()));
        let again = put_text(Some(&text), "b\n");
        assert_eq!(take(&again, "x", '#').unwrap().after, After::Gone);
    }

    #[test]
    fn a_block_without_end_is_left_alone() {
        let broken = "# >>> gce-auth helper x\na\n";
        assert!(put(Some(broken), "x", '#', "a\n").is_err());
        assert!(take(broken, "x", '#').is_err());
        assert_eq!(take("nothing", "x", '#').unwrap(), Edit::none());
    }

    #[test]
    fn a_change_shows_no_token() {
        let edit = put(None, "npmrc", ';', "//a/:_authToken=ya29.secret\n").unwrap();
        assert!(!edit.changes.join("\n").contains("ya29"), "{edit:?}");
    }

    proptest! {
        #[test]
        fn what_is_taken_leaves_the_file_as_it_was(
            text in "\u{feff}?([a-z#>\\[\\]= ]{0,9}\r?\n){0,4}[a-z#]{0,3}", lines in "([a-z]{0,5}\n){0,3}"
        ) {
            let put = put_text(Some(&text), &lines);
            let taken = take(&put, "x", '#').unwrap();
            prop_assert_eq!(taken.after, After::Text(text));
        }
    }
}
