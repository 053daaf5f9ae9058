//! Places of the tree that are not there, or not for this method.

use gce_auth_server::protocol::{route::PREFIX, tree::Node};

use super::{
    facts::{Facts, listed},
    near::near,
};
use crate::recorded_request::{Explanation, RecordedRequest};

const ACCOUNTS: &str = "instance/service-accounts/";

/// The cause of a 301.
pub(super) fn redirect(request: &RecordedRequest) -> Explanation {
    let last = request.path.rsplit('/').next().unwrap_or_default();
    Explanation::new(
        format!("{last} is a directory"),
        format!("ask for {}/", request.path),
    )
}

/// The cause of a 404 of the metadata server.
pub(super) fn missing(request: &RecordedRequest, facts: &Facts<'_>) -> Option<Explanation> {
    let path = request.path.as_str();
    let Some(place) = path.strip_prefix(PREFIX) else {
        return Some(elsewhere(path, facts));
    };
    if place.to_ascii_lowercase().contains("%40") {
        return Some(Explanation::new(
            "a path is not decoded, and %40 stands in it",
            format!("ask for {}", path.replace("%40", "@")),
        ));
    }
    if let Some(account) = place.strip_prefix(ACCOUNTS)
        && let Some(explanation) = account_missing(account, facts)
    {
        return Some(explanation);
    }
    if let Some(meant) = near(facts.document, place) {
        let same = place.trim_end_matches('/') == meant.trim_end_matches('/');
        let why = if same && place.ends_with('/') {
            "this is a value, not a directory".to_owned()
        } else {
            format!("there is no {place}")
        };
        return Some(Explanation::new(
            why,
            format!("did you mean {PREFIX}{meant}?"),
        ));
    }
    Some(unset(place, facts))
}

/// A path outside version 1.
fn elsewhere(path: &str, facts: &Facts<'_>) -> Explanation {
    let other = [
        ("/latest/", "AWS"),
        ("/metadata/instance", "Azure"),
        ("/metadata/identity", "Azure"),
        ("/opc/", "Oracle Cloud"),
        ("/openstack/", "OpenStack"),
    ];
    if let Some((_, cloud)) = other.iter().find(|(prefix, _)| path.starts_with(prefix)) {
        return Explanation::new(
            format!("this is a path of {cloud}'s metadata server"),
            format!(
                "as on a real machine of Google Cloud, nothing is here: its values are below {PREFIX}"
            ),
        );
    }
    let place = path.trim_start_matches('/');
    let place = place.strip_prefix("computeMetadata/").unwrap_or(place);
    let place = place.strip_prefix("v1/").unwrap_or(place);
    if Node::find(facts.document, place.trim_end_matches('/').split('/')).is_some() {
        return Explanation::new(
            "the path does not begin with /computeMetadata/v1/",
            format!("did you mean {PREFIX}{place}?"),
        );
    }
    match near(facts.document, place) {
        Some(meant) => Explanation::new(
            "the path does not begin with /computeMetadata/v1/",
            format!("did you mean {PREFIX}{meant}?"),
        ),
        None => Explanation::new(
            "nothing is at this path",
            format!("values are below {PREFIX}, Google's APIs at their own paths"),
        ),
    }
}

/// An account that the machine does not have, or has without scopes.
fn account_missing(rest: &str, facts: &Facts<'_>) -> Option<Explanation> {
    let (name, leaf) = rest.split_once('/').unwrap_or((rest, ""));
    let known = facts.accounts();
    if known.is_empty() {
        return Some(Explanation::new(
            "the machine has no service account",
            "start the emulator with --account EMAIL",
        ));
    }
    let path = ["instance", "service-accounts", name];
    let Some(account) = Node::find(facts.document, path) else {
        return Some(Explanation::new(
            format!("the machine has no account {name}"),
            format!("it has {}", listed(&known)),
        ));
    };
    let bare = account.value["scopes"].as_array().is_none_or(Vec::is_empty);
    (bare && leaf == "token").then(|| {
        Explanation::new(
            "the account has no scopes, so that the machine has no access token for it",
            format!("set {ACCOUNTS}{name}/scopes, or ask for the account's identity"),
        )
    })
}

/// A key that was never set.
fn unset(place: &str, facts: &Facts<'_>) -> Explanation {
    let place = place.trim_end_matches('/');
    let segments: Vec<&str> = place.split('/').collect();
    let known = (0..segments.len())
        .rev()
        .find_map(|known| Some((known, Node::find(facts.document, &segments[..known])?)));
    let (depth, names) = known.map_or((0, Vec::new()), |(depth, node)| {
        (
            depth,
            node.children().into_iter().map(|(name, _)| name).collect(),
        )
    });
    let above = segments[..depth].join("/");
    let here = if names.is_empty() {
        format!("nothing is set below {PREFIX}{above}")
    } else {
        format!("{PREFIX}{above} has {}", listed(&names))
    };
    Explanation::new(format!("{place} is not set"), format!("set it; {here}"))
}

/// The cause of a 405, whose answer names the methods.
pub(super) fn method(request: &RecordedRequest) -> Explanation {
    let answer = request.answer.as_ref();
    let allow = answer.and_then(|answer| {
        let mut headers = answer.headers.iter();
        headers.find(|(name, _)| name == "Allow")
    });
    let allow = allow.map_or("another method", |(_, methods)| methods);
    Explanation::new(
        format!("{} is not a method of this path", request.method),
        format!("use {allow}"),
    )
}
