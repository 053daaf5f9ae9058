//! The path that a client may have meant.

use gce_auth_server::protocol::tree::{LIVE, Node};
use serde_json::Value;

/// In longer paths nothing is looked for.
const MAX_DEPTH: usize = 32;
/// Of larger directories only the first names are compared with what was asked.
const MAX_NAMES: usize = 512;

/// Returns the nearest path that there is, below version 1 and with its slash if it is a directory.
/// `None` if nothing is near, or if the path is right.
pub(super) fn near(document: &Value, place: &str) -> Option<String> {
    let wanted: Vec<&str> = place.trim_end_matches('/').split('/').collect();
    if wanted.len() > MAX_DEPTH || wanted.iter().all(|segment| segment.is_empty()) {
        return None;
    }
    let mut found: Vec<String> = Vec::with_capacity(wanted.len());
    let mut directory = true;
    for segment in &wanted {
        let node = Node::find(document, &found)?;
        match nearest(&node, segment) {
            Some((name, is_directory)) => {
                found.push(name);
                directory = is_directory;
            }
            // What is right so far is worth to be named if a part of it had to be mended.
            None => break,
        }
    }
    let begun = wanted.iter().zip(&found).all(|(one, other)| one == other);
    if begun && found.len() < wanted.len() {
        return None;
    }
    let slash = if directory { "/" } else { "" };
    let path = format!("{}{slash}", found.join("/"));
    (path != place).then_some(path)
}

/// The name in a directory that is this one or the nearest to it, and whether it is a directory.
fn nearest(node: &Node<'_>, wanted: &str) -> Option<(String, bool)> {
    if let Some(child) = node.at(wanted) {
        return Some((wanted.into(), child.is_directory()));
    }
    let live = LIVE.iter().filter(|_| node.is_account());
    node.children()
        .into_iter()
        .take(MAX_NAMES)
        .map(|(name, child)| (name, child.is_directory()))
        .chain(live.map(|name| ((*name).to_owned(), false)))
        .map(|(name, directory)| (distance(wanted, &name), name, directory))
        .filter(|(distance, name, _)| *distance <= 1 + name.len().min(wanted.len()) / 5)
        .min()
        .map(|(_, name, directory)| (name, directory))
}

/// The nearest of these names.
pub(super) fn nearest_of<'a>(
    names: impl IntoIterator<Item = &'a str>,
    wanted: &str,
) -> Option<&'a str> {
    names
        .into_iter()
        .take(MAX_NAMES)
        .map(|name| (distance(wanted, name), name))
        .filter(|(distance, name)| *distance <= 1 + name.len().min(wanted.len()) / 4)
        .min()
        .map(|(_, name)| name)
}

/// How many letters have to be changed, put in or taken out (Levenshtein). Long names are as far as
/// they are long.
fn distance(one: &str, other: &str) -> usize {
    const LONG: usize = 64;
    if one.len() > LONG || other.len() > LONG {
        return one.len().max(other.len());
    }
    let (one, other) = (one.to_ascii_lowercase(), other.to_ascii_lowercase());
    let mut row: Vec<usize> = (0..=other.chars().count()).collect();
    for (index, letter) in one.chars().enumerate() {
        let mut corner = index;
        row[0] = index + 1;
        for (column, other_letter) in other.chars().enumerate() {
            let changed = corner + usize::from(letter != other_letter);
            corner = row[column + 1];
            row[column + 1] = changed.min(corner + 1).min(row[column] + 1);
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profiles::{Facts, Profile, document};

    #[test]
    fn near_misses_are_mended_to_the_end() {
        let document = document(Profile::Gce, &Facts::new(None, None, Vec::new()));
        for (path, meant) in [
            (
                "instance/service-account/default/token",
                "instance/service-accounts/default/token",
            ),
            (
                "instance/service-accounts/defualt/tokens",
                "instance/service-accounts/default/token",
            ),
            (
                "instance/service-account/nobody/token",
                "instance/service-accounts/",
            ),
            ("instance/machine_type", "instance/machine-type"),
            ("projects/project-id", "project/project-id"),
            ("instance/id/", "instance/id"),
            ("Instance/ID", "instance/id"),
        ] {
            assert_eq!(near(&document, path).as_deref(), Some(meant), "{path}");
        }
        for far in ["instance/attributes/whatever", "", "instance/id", "x"] {
            assert_eq!(near(&document, far), None, "{far}");
        }
        assert_eq!(near(&document, &"x/".repeat(1000)), None);
    }

    #[test]
    fn what_is_compared_is_bounded() {
        let near = |names: usize| {
            let all = (0..names).map(|name| (format!("a{name:06}"), Value::from(1)));
            let all: serde_json::Map<_, _> = all.chain([("zebra".into(), 1.into())]).collect();
            let document = serde_json::json!({"instance": {"attributes": all}});
            near(&document, "instance/attributes/zebr")
        };
        assert!(near(MAX_NAMES - 1).unwrap().ends_with("zebra"));
        assert_eq!(near(MAX_NAMES), None);
    }

    #[test]
    fn distances_are_counted_in_letters() {
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("Ä", "ä"), 1);
    }
}
