//! A place of the document as an answer.

use serde_json::Value;

use crate::protocol::{
    etag::Etag,
    pages,
    query::{Alt, Reading},
    reply::Reply,
    route::Target,
    tree::{Appearance, LIVE, Node},
};

const TEXT: &str = "application/text";
const JSON: &str = "application/json";

/// What a request for a place is to be answered with, as far as its form goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// The names below a directory.
    Listing,
    /// Compact JSON.
    Json,
    /// One line for each value below, with its path.
    Flat,
    /// The value as text.
    Text,
}

/// Decides the form, or the refusal.
pub fn form(node: &Node<'_>, target: &Target, reading: &Reading) -> Result<Form, Reply> {
    if node.is_directory() {
        if !target.slash() {
            return Err(target.add_slash());
        }
        return match (reading.recursive, reading.alt) {
            (true, Some(Alt::Text)) => Ok(Form::Flat),
            (true, _) => Ok(Form::Json),
            (false, Some(_)) => Err(pages::bad_request(
                "alt is not supported for a directory without recursive=true",
            )),
            (false, None) if reading.wait.is_some() => Err(pages::bad_request(
                "wait_for_change is not supported for a directory without recursive=true",
            )),
            (false, None) => Ok(Form::Listing),
        };
    }
    if target.slash() {
        return Err(target.not_found());
    }
    if node.value.is_null() {
        // Only the certificates of workloads are told apart from what does not exist.
        return Err(if target.path().contains("/credentials/") {
            target.not_found()
        } else {
            pages::unconfigured()
        });
    }
    Ok(match reading.alt {
        Some(Alt::Json) => Form::Json,
        None if node.is_tags() => Form::Json,
        _ => Form::Text,
    })
}

/// Returns the place in this form.
pub fn reply(node: &Node<'_>, form: Form, etag: Etag) -> Reply {
    let (content_type, body) = body(node, form);
    Reply::new(200, content_type, body).tagged(etag)
}

/// Returns the place in this form: its type, and its text.
pub fn body(node: &Node<'_>, form: Form) -> (&'static str, String) {
    match form {
        Form::Listing => (TEXT, listing(node)),
        Form::Json => (JSON, json(node)),
        Form::Flat => {
            let mut out = String::new();
            flat(node, "", &mut out);
            (TEXT, out)
        }
        Form::Text => (TEXT, plain(node.value)),
    }
}

/// Returns the token of an account.
pub fn credential(content_type: &'static str, body: String) -> Reply {
    Reply::new(200, content_type, body)
}

/// Returns a listing that is no place of the document.
pub fn lines(text: &'static str) -> Reply {
    Reply::new(200, TEXT, text)
}

/// The names below a directory, one on a line, directories with a slash.
fn listing(node: &Node<'_>) -> String {
    let mut names: Vec<String> = node
        .children()
        .into_iter()
        .map(|(name, child)| {
            if child.is_directory() {
                name + "/"
            } else {
                name
            }
        })
        .collect();
    if node.is_account() {
        names.extend(LIVE.map(Into::into));
        names.sort();
    }
    names.into_iter().map(|name| name + "\n").collect()
}

/// Returns compact JSON, the keys in the order of their bytes. What is hidden below a directory is
/// left out.
pub fn json(node: &Node<'_>) -> String {
    let mut out = String::new();
    write_json(node.value, Some(node), &mut out);
    out
}

fn write_json(value: &Value, node: Option<&Node<'_>>, out: &mut String) {
    match value {
        Value::Object(map) => {
            let mut keys: Vec<&String> = map.keys().collect();
            keys.sort();
            out.push('{');
            let mut first = true;
            for key in keys {
                let child = node.and_then(|node| node.at(key));
                let appearance = child.as_ref().map_or(Appearance::Whole, Node::appearance);
                if appearance == Appearance::Hidden {
                    continue;
                }
                if !first {
                    out.push(',');
                }
                first = false;
                out.push_str(&Value::from(key.as_str()).to_string());
                out.push(':');
                if appearance == Appearance::Empty {
                    out.push_str("{}");
                } else {
                    write_json(&map[key], child.as_ref(), out);
                }
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                let child = node.and_then(|node| node.at(&index.to_string()));
                write_json(item, child.as_ref(), out);
            }
            out.push(']');
        }
        leaf => out.push_str(&leaf.to_string()),
    }
}

/// `path value` for each value below; a list repeats its path for each of its items.
fn flat(node: &Node<'_>, path: &str, out: &mut String) {
    for (name, child) in node.children() {
        let path = if path.is_empty() {
            name
        } else {
            format!("{path}/{name}")
        };
        match (child.appearance(), child.value) {
            (Appearance::Hidden | Appearance::Empty, _) => {}
            _ if child.is_directory() => flat(&child, &path, out),
            (_, Value::Array(items)) => {
                for item in items {
                    out.push_str(&format!("{path} {}\n", plain(item)));
                }
            }
            (_, leaf) => out.push_str(&format!("{path} {}\n", plain(leaf))),
        }
    }
}

/// Returns a value as text: strings as they are, lists one item on a line.
pub fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(|item| plain(item) + "\n").collect(),
        Value::Bool(true) => "TRUE".into(),
        Value::Bool(false) => "FALSE".into(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::protocol::{request::Request, route::PREFIX};

    fn show(document: &Value, path: &str, reading: &Reading) -> Result<(String, String), u16> {
        let target = Target::new(Request {
            path: format!("{PREFIX}{path}"),
            ..Request::default()
        });
        let node = Node::find(document, target.steps()).ok_or(404_u16)?;
        let form = form(&node, &target, reading).map_err(|reply| reply.status)?;
        let reply = reply(&node, form, Etag(0));
        let text = String::from_utf8(reply.body.into()).unwrap();
        Ok((reply.content_type.into(), text))
    }

    fn document() -> Value {
        json!({
            "instance": {
                "id": 18_446_744_073_709_551_615_u64,
                "tags": ["b", "a"],
                "disks": [{"deviceName": "boot", "index": 0}],
                "licenses": [],
                "guestAttributes": {"ns": {"k": "v"}},
                "credentials": {"mdsClientCertificate": null},
                "workloadIdentities": null,
                "serviceAccounts": {"default": {"aliases": ["default"], "email": "e", "scopes": ["s", "t"]}},
            },
        })
    }

    #[test]
    fn directories_list_their_names() {
        let plain = Reading::default();
        assert_eq!(
            show(&document(), "instance/", &plain).unwrap().1,
            "credentials/\ndisks/\nguest-attributes/\nid\nlicenses/\nservice-accounts/\ntags\nworkload-identities\n"
        );
        assert_eq!(
            show(&document(), "instance/service-accounts/default/", &plain)
                .unwrap()
                .1,
            "aliases\nemail\nidentity\nscopes\ntoken\n"
        );
        assert_eq!(
            show(&document(), "instance/disks/", &plain).unwrap().1,
            "0/\n"
        );
        assert_eq!(show(&document(), "instance", &plain), Err(301));
        assert_eq!(show(&document(), "instance/id/", &plain), Err(404));
    }

    #[test]
    fn recursion_is_compact_sorted_and_leaves_out_what_is_not_there() {
        let reading = Reading {
            recursive: true,
            ..Reading::default()
        };
        let (kind, body) = show(&document(), "instance/", &reading).unwrap();
        assert_eq!(kind, "application/json");
        assert_eq!(
            body,
            "{\"disks\":[{\"deviceName\":\"boot\",\"index\":0}],\"guestAttributes\":{},\"id\":18446744073709551615,\
             \"licenses\":[],\"serviceAccounts\":{\"default\":{\"aliases\":[\"default\"],\"email\":\"e\",\"scopes\":[\"s\",\"t\"]}},\
             \"tags\":[\"b\",\"a\"]}"
        );
    }

    #[test]
    fn recursion_as_text_has_a_line_for_each_value() {
        let reading = Reading {
            recursive: true,
            alt: Some(Alt::Text),
            wait: None,
        };
        let (kind, body) = show(&document(), "instance/", &reading).unwrap();
        assert_eq!(kind, "application/text");
        assert_eq!(
            body,
            "disks/0/device-name boot\ndisks/0/index 0\nid 18446744073709551615\nservice-accounts/default/aliases default\n\
             service-accounts/default/email e\nservice-accounts/default/scopes s\nservice-accounts/default/scopes t\n\
             tags b\ntags a\n"
        );
    }

    #[test]
    fn values_are_text_unless_json_is_wanted() {
        let json = Reading {
            alt: Some(Alt::Json),
            ..Reading::default()
        };
        let text = Reading {
            alt: Some(Alt::Text),
            ..Reading::default()
        };
        let plain = Reading::default();
        let show = |path, reading| show(&document(), path, reading);
        assert_eq!(
            show("instance/tags", &plain).unwrap(),
            ("application/json".into(), "[\"b\",\"a\"]".into())
        );
        assert_eq!(
            show("instance/tags", &text).unwrap(),
            ("application/text".into(), "b\na\n".into())
        );
        assert_eq!(
            show("instance/id", &json).unwrap(),
            ("application/json".into(), "18446744073709551615".into())
        );
        assert_eq!(
            show("instance/service-accounts/default/scopes", &plain)
                .unwrap()
                .1,
            "s\nt\n"
        );
        assert_eq!(show("instance/", &json), Err(400));
    }

    #[test]
    fn what_was_never_configured_says_so() {
        let plain = Reading::default();
        assert_eq!(
            show(&document(), "instance/workload-identities", &plain),
            Err(412)
        );
        assert_eq!(
            show(
                &document(),
                "instance/credentials/mds-client-certificate",
                &plain
            ),
            Err(404)
        );
    }
}
