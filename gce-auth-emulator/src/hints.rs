//! What a client may have meant that got no value.

use serde_json::Value;

use crate::recorded_request::RecordedRequest;
use gce_auth_server::protocol::hosts::AllowedHosts;
use gce_auth_server::protocol::route::PREFIX;
use gce_auth_server::protocol::tree::{LIVE, Node};

/// In longer paths nothing is looked for.
const MAX_DEPTH: usize = 32;
/// Of larger directories only the first names are compared with what was asked.
const MAX_NAMES: usize = 512;

/// Returns a hint for the journal at a request that was refused, or led nowhere.
pub(crate) fn hint(
    request: &RecordedRequest,
    status: u16,
    document: &Value,
    hosts: &AllowedHosts,
) -> Option<String> {
    if request.fault.is_some() {
        return None;
    }
    match status {
        403 if request.header("x-forwarded-for").is_some() => {
            Some("it went through a proxy: X-Forwarded-For is refused".into())
        }
        403 if request
            .header("host")
            .is_some_and(|host| !hosts.admit(host)) =>
        {
            Some("its Host is no name of this server: --allow-host allows it".into())
        }
        403 if request
            .header("origin")
            .or_else(|| request.header("sec-fetch-site"))
            .is_some() =>
        {
            Some("a web page sent it: Origin and Sec-Fetch-Site are refused".into())
        }
        403 if request.path.starts_with("/computeMetadata/") => {
            match request.header("metadata-flavor") {
                None => Some("missing Metadata-Flavor: Google".into()),
                Some("Google") => None,
                Some(_) => Some("Metadata-Flavor has to be Google, exactly so".into()),
            }
        }
        301 => Some(format!("a directory: ask for {}/", last(&request.path))),
        404 => missing(&request.path, document),
        _ => None,
    }
}

fn last(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or_default()
}

fn missing(path: &str, document: &Value) -> Option<String> {
    let Some(rest) = path.strip_prefix(PREFIX) else {
        return path
            .starts_with("/instance/")
            .then(|| format!("did you mean {PREFIX}{}?", &path[1..]));
    };
    if rest.to_ascii_lowercase().contains("%40") {
        return Some("write @ in a path as it is: %40 is not decoded".into());
    }
    let trimmed = rest.trim_end_matches('/');
    let segments: Vec<String> = trimmed.split('/').map(Into::into).collect();
    if segments.len() > MAX_DEPTH {
        return None;
    }
    if rest.ends_with('/') && Node::find(document, &segments).is_some() {
        return Some(format!(
            "a value: ask for {} without the slash",
            last(trimmed)
        ));
    }
    let known = (0..segments.len())
        .rev()
        .find(|known| Node::find(document, &segments[..*known]).is_some())?;
    let node = Node::find(document, &segments[..known])?;
    let wanted = &segments[known];
    if node.is_accounts() && node.children().is_empty() {
        return Some("the machine has no service account".into());
    }
    let live = LIVE.iter().filter(|_| node.is_account());
    let (near, directory) = node
        .children()
        .into_iter()
        .take(MAX_NAMES)
        .map(|(name, child)| (name, child.is_directory()))
        .chain(live.map(|name| ((*name).to_owned(), false)))
        .map(|(name, directory)| (distance(wanted, &name), name, directory))
        .filter(|(distance, name, _)| *distance <= 1 + name.len().min(wanted.len()) / 5)
        .min()
        .map(|(_, name, directory)| (name, directory))?;
    if near == *wanted {
        return None;
    }
    let slash = if directory { "/" } else { "" };
    let above = segments[..known]
        .iter()
        .map(|segment| format!("{segment}/"));
    Some(format!(
        "did you mean {}{near}{slash}?",
        above.collect::<String>()
    ))
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
    fn near_misses_are_named() {
        let document = document(Profile::Gce, &Facts::new(None, None, Vec::new()));
        let hint = |path: &str| missing(&format!("{PREFIX}{path}"), &document);
        for (path, meant) in [
            (
                "instance/service-account/default/token",
                "instance/service-accounts/",
            ),
            (
                "instance/service-accounts/defualt/token",
                "instance/service-accounts/default/",
            ),
            (
                "instance/service-accounts/default/tokens",
                "instance/service-accounts/default/token",
            ),
            ("instance/machine_type", "instance/machine-type"),
            ("projects/project-id", "project/"),
        ] {
            assert_eq!(hint(path), Some(format!("did you mean {meant}?")), "{path}");
        }
        assert_eq!(
            hint("instance/id/").unwrap(),
            "a value: ask for id without the slash"
        );
        assert!(
            hint("instance/service-accounts/a%40b/token")
                .unwrap()
                .contains('@')
        );
        assert_eq!(hint("instance/attributes/whatever"), None);
        assert_eq!(hint(&"x/".repeat(1000)), None);
        let root = missing("/instance/id", &document).unwrap();
        assert_eq!(root, "did you mean /computeMetadata/v1/instance/id?");
    }

    #[test]
    fn what_is_compared_is_bounded() {
        let hint = |names: usize| {
            let all = (0..names).map(|name| (format!("a{name:06}"), Value::from(1)));
            let all: serde_json::Map<_, _> = all.chain([("zebra".into(), 1.into())]).collect();
            let document = serde_json::json!({"instance": {"attributes": all}});
            missing(&format!("{PREFIX}instance/attributes/zebr"), &document)
        };
        assert!(hint(MAX_NAMES - 1).unwrap().ends_with("zebra?"));
        assert_eq!(hint(MAX_NAMES), None);
    }

    #[test]
    fn distances_are_counted_in_letters() {
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("Ä", "ä"), 1);
    }
}
