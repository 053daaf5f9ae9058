//! Where in the document a path leads, also when nothing is there yet.

use gce_auth_server::protocol::tree::{INDEXED, Node, camel, is_verbatim};
use serde_json::{Map, Value};

use crate::{document::limits::DEPTH, error::SetError};

/// Why a value is not set.
pub(crate) const TOO_DEEP: &str = "it is nested too deeply: at most 128 levels are";

/// An account stands in the document under its email and under its aliases: a change of one is a
/// change of all.
pub(crate) fn copy_account(document: &mut Value, keys: &[String]) {
    let [instance, accounts, account, leaf, ..] = keys else {
        return;
    };
    if instance != "instance" || accounts != "serviceAccounts" || leaf == "email" {
        return;
    }
    let Some(accounts) = document[instance.as_str()][accounts.as_str()].as_object_mut() else {
        return;
    };
    let Some(changed) = accounts.get(account).cloned() else {
        return;
    };
    for other in accounts.values_mut() {
        if other["email"].is_string() && other["email"] == changed["email"] {
            other.clone_from(&changed);
        }
    }
}

/// What stands at a new key before anything is put below it.
pub(crate) fn container(key: &str) -> Value {
    if INDEXED.contains(&key) {
        Value::Array(Vec::new())
    } else {
        empty()
    }
}

pub(crate) fn empty() -> Value {
    Value::Object(Map::new())
}

/// The document's keys for a path of which the end, or all, may not exist yet. `None` if it can't.
pub(crate) fn keys(document: &Value, segments: &[String]) -> Option<Vec<String>> {
    for known in (0..=segments.len()).rev() {
        let Some(node) = Node::find(document, &segments[..known]) else {
            continue;
        };
        let mut keys = node.keys();
        let mut fits = known == segments.len() || node.value.is_object();
        if let (Value::Array(items), Some(next)) = (node.value, segments.get(known)) {
            fits = node.is_directory() && *next == items.len().to_string();
        }
        for segment in &segments[known..] {
            let key = if is_verbatim(&keys) {
                segment.clone()
            } else {
                camel(segment)
            };
            keys.push(key);
        }
        return fits.then_some(keys);
    }
    None
}

pub(crate) fn look<'a>(value: &'a Value, key: &String) -> Option<&'a Value> {
    match value {
        Value::Object(map) => map.get(key),
        Value::Array(items) => items.get(key.parse::<usize>().ok()?),
        _ => None,
    }
}

pub(crate) fn step<'a>(value: &'a mut Value, key: &String) -> Option<&'a mut Value> {
    match value {
        Value::Object(map) => map.get_mut(key),
        Value::Array(items) => items.get_mut(key.parse::<usize>().ok()?),
        _ => None,
    }
}

/// The segments of a path, which may begin at the root of the server or of the tree.
pub(crate) fn segments(path: &str) -> Result<Vec<String>, SetError> {
    let rest = path
        .strip_prefix("/computeMetadata/v1")
        .or_else(|| path.strip_prefix("computeMetadata/v1"))
        .unwrap_or(path)
        .trim_matches('/');
    if rest.is_empty() {
        return Ok(Vec::new());
    }
    let segments: Vec<String> = rest.split('/').map(Into::into).collect();
    if segments.iter().any(String::is_empty) {
        return Err(SetError::new(path, "a segment of the path is empty"));
    }
    if segments.len() > DEPTH {
        return Err(SetError::new(path, TOO_DEEP));
    }
    Ok(segments)
}

/// A list as JSON, or its items on lines or between commas.
pub(crate) fn list(text: &str) -> Option<Value> {
    if text.trim_start().starts_with('[') {
        return serde_json::from_str::<Value>(text)
            .ok()
            .filter(Value::is_array);
    }
    Some(
        text.split(['\n', ','])
            .map(str::trim)
            .filter(|item| !item.is_empty())
            .map(Value::from)
            .collect::<Vec<_>>()
            .into(),
    )
}
