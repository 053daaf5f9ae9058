//! Finding a place in the document. The document has the form that `?recursive=true` prints; paths have the form in which the
//! same keys stand in a URL.

use std::borrow::Cow;

use serde_json::Value;

/// Arrays whose elements have an index of their own in a path. All other arrays of plain values are lists, printed whole.
pub(crate) const INDEXED: [&str; 7] = [
    "accessConfigs",
    "disks",
    "forwardedIps",
    "forwardedIpv6s",
    "ipAliases",
    "licenses",
    "networkInterfaces",
];

/// The leaves below a service account that are made when asked for.
pub(crate) const LIVE: [&str; 2] = ["identity", "token"];

/// A place in the document.
#[derive(Clone, Debug)]
pub(crate) struct Node<'a> {
    pub(crate) value: &'a Value,
    /// The document's keys from the root to here.
    keys: Vec<Cow<'a, str>>,
}

impl<'a> Node<'a> {
    pub(crate) fn root(value: &'a Value) -> Self {
        Self {
            value,
            keys: Vec::new(),
        }
    }

    /// The place that a path's segments name, if there is one.
    pub(crate) fn find(root: &'a Value, segments: &[String]) -> Option<Self> {
        segments
            .iter()
            .try_fold(Self::root(root), |node, segment| node.child(segment))
    }

    /// The keys from the root to here, as a pointer into the document.
    pub(crate) fn keys(&self) -> Vec<String> {
        self.keys
            .iter()
            .map(|key| key.clone().into_owned())
            .collect()
    }

    pub(crate) fn is_directory(&self) -> bool {
        match self.value {
            Value::Object(_) => true,
            Value::Array(items) => {
                items.iter().any(Value::is_object)
                    || self
                        .keys
                        .last()
                        .is_some_and(|key| INDEXED.contains(&key.as_ref()))
            }
            _ => false,
        }
    }

    fn child(&self, segment: &str) -> Option<Self> {
        if !self.is_directory() {
            return None;
        }
        match self.value {
            Value::Object(_) => self.at(&self.key_of(segment)?),
            Value::Array(_) => {
                let index: usize = segment.parse().ok()?;
                // `+0` and `00` are other spellings of a number, but no paths.
                self.at(segment).filter(|_| index.to_string() == segment)
            }
            _ => None,
        }
    }

    /// The place below with this key of the document.
    pub(crate) fn at(&self, key: &str) -> Option<Self> {
        match self.value {
            Value::Object(map) => {
                let (key, value) = map.get_key_value(key)?;
                Some(self.below(Cow::Borrowed(key), value))
            }
            Value::Array(items) => {
                let value = items.get(key.parse::<usize>().ok()?)?;
                Some(self.below(Cow::Owned(key.into()), value))
            }
            _ => None,
        }
    }

    /// What stands below, by the name it has in a path, in the order of these names.
    pub(crate) fn children(&self) -> Vec<(String, Self)> {
        match self.value {
            _ if !self.is_directory() => Vec::new(),
            Value::Object(map) => {
                let mut children: Vec<_> = map
                    .iter()
                    .map(|(key, value)| {
                        (
                            self.segment_of(key).into_owned(),
                            self.below(Cow::Borrowed(key), value),
                        )
                    })
                    .collect();
                children.sort_by(|(one, _), (other, _)| one.cmp(other));
                children
            }
            Value::Array(items) => items
                .iter()
                .enumerate()
                .map(|(index, value)| {
                    let index = index.to_string();
                    (index.clone(), self.below(Cow::Owned(index), value))
                })
                .collect(),
            _ => Vec::new(),
        }
    }

    fn below(&self, key: Cow<'a, str>, value: &'a Value) -> Self {
        let mut keys = self.keys.clone();
        keys.push(key);
        Self { value, keys }
    }

    /// The document's key for a segment of a path.
    fn key_of(&self, segment: &str) -> Option<String> {
        let map = self.value.as_object()?;
        if is_verbatim(&self.keys) {
            if map.contains_key(segment) {
                return Some(segment.into());
            }
            return self.is_accounts().then(|| alias(map, segment)).flatten();
        }
        if self.keys == ["universe"] && segment == "universe_domain" {
            return Some("universeDomain".into());
        }
        map.keys().find(|key| kebab(key) == segment).cloned()
    }

    fn segment_of<'k>(&self, key: &'k str) -> Cow<'k, str> {
        if is_verbatim(&self.keys) {
            Cow::Borrowed(key)
        } else {
            Cow::Owned(kebab(key))
        }
    }

    /// Whether this is the directory of all service accounts.
    pub(crate) fn is_accounts(&self) -> bool {
        self.keys == ["instance", "serviceAccounts"]
    }

    /// Whether this is the directory of one service account.
    pub(crate) fn is_account(&self) -> bool {
        self.keys.len() == 3 && self.keys[..2] == ["instance", "serviceAccounts"]
    }

    pub(crate) fn is_tags(&self) -> bool {
        self.keys == ["instance", "tags"]
    }

    /// Whether the place is left out, or shown empty, where something above it is printed.
    pub(crate) fn appearance(&self) -> Appearance {
        match self.value {
            Value::Null => Appearance::Hidden,
            Value::Object(map) if !map.is_empty() && map.values().all(Value::is_null) => {
                Appearance::Hidden
            }
            Value::Object(_) if self.keys == ["instance", "guestAttributes"] => Appearance::Empty,
            Value::Object(_) if self.keys == ["instance", "credentials"] => Appearance::Hidden,
            _ => Appearance::Whole,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Appearance {
    Whole,
    Empty,
    Hidden,
}

/// Whether the keys below this place were chosen by a user, and so stand in paths as they are.
pub(crate) fn is_verbatim(keys: &[impl AsRef<str>]) -> bool {
    let keys: Vec<&str> = keys.iter().map(AsRef::as_ref).collect();
    matches!(
        keys.as_slice(),
        ["instance" | "project", "attributes"]
            | ["instance", "serviceAccounts"]
            | ["instance", "guestAttributes" | "partnerAttributes", ..]
            | ["oslogin", "authenticate", "sessions", ..]
    )
}

/// The key of the account that has this alias.
fn alias(accounts: &serde_json::Map<String, Value>, name: &str) -> Option<String> {
    accounts
        .iter()
        .find(|(_, account)| {
            account["aliases"]
                .as_array()
                .is_some_and(|aliases| aliases.iter().any(|alias| alias == name))
        })
        .map(|(key, _)| key.clone())
}

/// `machineType` becomes `machine-type`.
pub(crate) fn kebab(key: &str) -> String {
    let mut out = String::with_capacity(key.len() + 2);
    for character in key.chars() {
        if character.is_ascii_uppercase() {
            if !out.is_empty() {
                out.push('-');
            }
            out.push(character.to_ascii_lowercase());
        } else {
            out.push(character);
        }
    }
    out
}

/// `machine-type` becomes `machineType`.
pub(crate) fn camel(segment: &str) -> String {
    let mut out = String::with_capacity(segment.len());
    let mut upper = false;
    for character in segment.chars() {
        if character == '-' {
            upper = true;
        } else if upper {
            out.push(character.to_ascii_uppercase());
            upper = false;
        } else {
            out.push(character);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn segments(path: &str) -> Vec<String> {
        path.split('/').map(Into::into).collect()
    }

    #[test]
    fn schema_keys_change_their_case_and_no_others_do() {
        let root = json!({"instance": {
            "machineType": "e2",
            "attributes": {"sshKeys": "k", "ssh-keys": "l"},
            "networkInterfaces": [{"dhcpv6Refresh": "x", "forwardedIps": ["10.0.0.1"], "dnsServers": ["1.1.1.1"]}],
        }});
        let at = |path: &str| Node::find(&root, &segments(path)).map(|node| node.value.clone());
        assert_eq!(at("instance/machine-type"), Some(json!("e2")));
        assert_eq!(at("instance/machineType"), None);
        assert_eq!(at("instance/attributes/sshKeys"), Some(json!("k")));
        assert_eq!(at("instance/attributes/ssh-keys"), Some(json!("l")));
        assert_eq!(
            at("instance/network-interfaces/0/dhcpv6-refresh"),
            Some(json!("x"))
        );
        assert_eq!(
            at("instance/network-interfaces/0/forwarded-ips/0"),
            Some(json!("10.0.0.1"))
        );
        assert_eq!(at("instance/network-interfaces/0/dns-servers/0"), None);
        assert_eq!(at("instance/network-interfaces/00"), None);
        assert_eq!(at("instance/network-interfaces/+0"), None);
    }

    #[test]
    fn accounts_answer_to_their_aliases() {
        let root = json!({"instance": {"serviceAccounts": {
            "a@b": {"aliases": ["default", "robot"], "email": "a@b", "scopes": []}}}});
        let at = |name: &str| {
            Node::find(
                &root,
                &segments(&format!("instance/service-accounts/{name}/email")),
            )
            .is_some()
        };
        assert!(at("a@b") && at("default") && at("robot"));
        assert!(!at("a%40b") && !at("other"));
    }

    #[test]
    fn the_domain_of_the_universe_has_two_names() {
        let root = json!({"universe": {"universeDomain": "googleapis.com"}});
        assert!(Node::find(&root, &segments("universe/universe_domain")).is_some());
        assert!(Node::find(&root, &segments("universe/universe-domain")).is_some());
    }

    #[test]
    fn kebab_and_camel_are_each_other_s_inverse() {
        for key in ["cpuPlatform", "dhcpv6Refresh", "ipv6s", "0.1", "id"] {
            assert_eq!(camel(&kebab(key)), key);
        }
        assert_eq!(kebab("TargetState"), "target-state");
    }
}
