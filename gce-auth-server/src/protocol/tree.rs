//! Finding a place in the document. The document has the form that `?recursive=true` prints; paths
//! have the form in which the same keys stand in a URL.

use std::borrow::Cow;

use serde_json::Value;

/// Arrays whose elements have an index of their own in a path. All other arrays of plain values are
/// lists, printed whole.
pub const INDEXED: [&str; 7] = [
    "accessConfigs",
    "disks",
    "forwardedIps",
    "forwardedIpv6s",
    "ipAliases",
    "licenses",
    "networkInterfaces",
];

/// The leaves below a service account that are made when asked for.
pub const LIVE: [&str; 2] = ["identity", "token"];

/// What stands below `oslogin` in the document, but is shown only to a request for a user or a
/// group.
pub(crate) const LOGINS: [&str; 2] = ["groups", "users"];

/// A place in the document.
#[derive(Clone, Debug)]
pub struct Node<'a> {
    /// What stands there.
    pub value: &'a Value,
    /// The document's keys from the root to here.
    keys: Vec<Cow<'a, str>>,
}

impl<'a> Node<'a> {
    /// Returns the root.
    pub fn root(value: &'a Value) -> Self {
        Self {
            value,
            keys: Vec::new(),
        }
    }

    /// Returns a part of a document, which stands where these segments lead.
    pub fn part(value: &'a Value, segments: impl IntoIterator<Item: AsRef<str>>) -> Self {
        let mut keys: Vec<Cow<'a, str>> = Vec::new();
        for segment in segments {
            let segment = segment.as_ref();
            keys.push(if is_verbatim(&keys) {
                Cow::Owned(segment.to_owned())
            } else {
                Cow::Owned(camel(segment))
            });
        }
        Self { value, keys }
    }

    /// Returns the key of the document that the place has, or its index; empty for the root.
    pub fn key(&self) -> &str {
        self.keys.last().map_or("", AsRef::as_ref)
    }

    /// Returns the place that a path's segments name, if there is one.
    pub fn find(root: &'a Value, segments: impl IntoIterator<Item: AsRef<str>>) -> Option<Self> {
        segments
            .into_iter()
            .try_fold(Self::root(root), |node, segment| {
                node.child(segment.as_ref())
            })
    }

    /// Returns the keys from the root to here, as a pointer into the document.
    pub fn keys(&self) -> Vec<String> {
        self.keys
            .iter()
            .map(|key| key.clone().into_owned())
            .collect()
    }

    /// Returns whether the place has names below it, and so a slash at its end.
    pub fn is_directory(&self) -> bool {
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
            Value::Object(_) => self.at(self.key_of(segment)?),
            Value::Array(_) => {
                let index: usize = segment.parse().ok()?;
                // `+0` and `00` are other spellings of a number, but no paths.
                self.at(segment).filter(|_| index.to_string() == segment)
            }
            _ => None,
        }
    }

    /// Returns the place below with this key of the document.
    pub fn at(&self, key: &str) -> Option<Self> {
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

    /// Returns what stands below, by the name it has in a path, in the order of these names.
    pub fn children(&self) -> Vec<(String, Self)> {
        match self.value {
            _ if !self.is_directory() => Vec::new(),
            Value::Object(map) => {
                let mut children: Vec<_> = map
                    .iter()
                    .filter(|(key, _)| self.keys != ["oslogin"] || !LOGINS.contains(&key.as_str()))
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
    fn key_of(&self, segment: &str) -> Option<&'a str> {
        let map = self.value.as_object()?;
        if is_verbatim(&self.keys) {
            return match map.get_key_value(segment) {
                Some((key, _)) => Some(key),
                None => self.is_accounts().then(|| alias(map, segment)).flatten(),
            };
        }
        if self.keys == ["universe"] && segment == "universe_domain" {
            return Some("universeDomain");
        }
        map.keys()
            .find(|key| stands_as(key, segment))
            .map(String::as_str)
    }

    fn segment_of<'k>(&self, key: &'k str) -> Cow<'k, str> {
        if is_verbatim(&self.keys) {
            Cow::Borrowed(key)
        } else {
            Cow::Owned(kebab(key))
        }
    }

    /// Returns whether this is the directory of all service accounts.
    pub(crate) fn is_accounts(&self) -> bool {
        self.keys == ["instance", "serviceAccounts"]
    }

    /// Returns whether this is the directory of one service account.
    pub fn is_account(&self) -> bool {
        self.keys.len() == 3 && self.keys[..2] == ["instance", "serviceAccounts"]
    }

    /// Returns whether these are the instance's tags, which are JSON unless text is wanted.
    pub(crate) fn is_tags(&self) -> bool {
        self.keys == ["instance", "tags"]
    }

    /// Returns whether the place is left out, or shown empty, where something above it is printed.
    pub fn appearance(&self) -> Appearance {
        if let [first, second] = self.keys.as_slice()
            && first == "oslogin"
            && LOGINS.contains(&second.as_ref())
        {
            return Appearance::Hidden;
        }
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

/// How a place appears where something above it is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Appearance {
    /// It is shown.
    Whole,
    /// It is shown as an empty object.
    Empty,
    /// It is left out.
    Hidden,
}

/// Returns whether the keys below this place were chosen by a user, and so stand in paths as they
/// are.
pub fn is_verbatim(keys: &[impl AsRef<str>]) -> bool {
    let [first, second, rest @ ..] = keys else {
        return false;
    };
    match (first.as_ref(), second.as_ref()) {
        ("instance" | "project", "attributes") | ("instance", "serviceAccounts") => rest.is_empty(),
        ("instance", "guestAttributes" | "partnerAttributes") => true,
        ("oslogin", "authenticate") => rest.first().is_some_and(|key| key.as_ref() == "sessions"),
        _ => false,
    }
}

/// The key of the account that has this alias.
fn alias<'a>(accounts: &'a serde_json::Map<String, Value>, name: &str) -> Option<&'a str> {
    accounts
        .iter()
        .find(|(_, account)| {
            account["aliases"]
                .as_array()
                .is_some_and(|aliases| aliases.iter().any(|alias| alias == name))
        })
        .map(|(key, _)| key.as_str())
}

/// Returns the segments of a path from the root of the tree, without a slash at its end.
pub fn steps(place: &str) -> impl Iterator<Item = &str> {
    place.split('/').filter(move |_| !place.is_empty())
}

/// Whether a key of the document stands in paths as this segment: `kebab(key) == segment`, but
/// without a copy.
fn stands_as(key: &str, segment: &str) -> bool {
    let mut rest = segment.chars();
    let mut first = true;
    for character in key.chars() {
        let upper = character.is_ascii_uppercase();
        if upper && !first && rest.next() != Some('-') {
            return false;
        }
        if rest.next() != Some(character.to_ascii_lowercase()) {
            return false;
        }
        first = false;
    }
    rest.next().is_none()
}

/// Writes `machineType` as `machine-type`.
pub fn kebab(key: &str) -> String {
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

/// Writes `machine-type` as `machineType`.
pub fn camel(segment: &str) -> String {
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

    #[test]
    fn schema_keys_change_their_case_and_no_others_do() {
        let root = json!({"instance": {
            "machineType": "e2",
            "attributes": {"sshKeys": "k", "ssh-keys": "l"},
            "networkInterfaces": [{"dhcpv6Refresh": "x", "forwardedIps": ["10.0.0.1"], "dnsServers": ["1.1.1.1"]}],
        }});
        let at = |path: &str| Node::find(&root, steps(path)).map(|node| node.value.clone());
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
                steps(&format!("instance/service-accounts/{name}/email")),
            )
            .is_some()
        };
        assert!(at("a@b") && at("default") && at("robot"));
        assert!(!at("a%40b") && !at("other"));
    }

    #[test]
    fn the_domain_of_the_universe_has_two_names() {
        let root = json!({"universe": {"universeDomain": "googleapis.com"}});
        assert!(Node::find(&root, steps("universe/universe_domain")).is_some());
        assert!(Node::find(&root, steps("universe/universe-domain")).is_some());
    }

    #[test]
    fn kebab_and_camel_are_each_other_s_inverse() {
        for key in ["cpuPlatform", "dhcpv6Refresh", "ipv6s", "0.1", "id"] {
            assert_eq!(camel(&kebab(key)), key);
        }
        for key in [
            "cpuPlatform",
            "dhcpv6Refresh",
            "TargetState",
            "0.1",
            "id",
            "aB",
            "\u{e9}C",
        ] {
            for other in [key, "cpuPlatform", "cpu", "cpuPlatformX", "ID"] {
                let segment = kebab(other);
                assert_eq!(
                    stands_as(key, &segment),
                    kebab(key) == segment,
                    "{key} {other}"
                );
            }
        }
        assert_eq!(kebab("TargetState"), "target-state");
    }
}
