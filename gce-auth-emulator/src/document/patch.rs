//! Changes of a document that can be taken back.

use std::fmt;

use gce_auth_server::protocol::{
    render,
    tree::{is_verbatim, kebab},
};
use serde_json::{Map, Value, json};

use crate::document::places::{empty, look, step};

/// A change of a document. Places are its keys from the root on.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Patch {
    /// Puts a value, whatever was there.
    Set(Vec<String>, Value),
    /// Takes a value away.
    Remove(Vec<String>),
    /// Puts what was there before the first of the patches that this one follows.
    Restore(Vec<String>),
    /// Puts a disk behind those there are.
    AttachDisk {
        name: Option<String>,
        interface: String,
        kind: String,
    },
    /// Puts a network interface behind those there are.
    AttachInterface {
        ip: Option<String>,
        network: Option<String>,
    },
    /// Takes away the account of this email or alias, under all its names.
    DetachAccount(String),
}

impl Patch {
    /// Puts a value at a place.
    pub(crate) fn set(place: &[&str], value: impl Into<Value>) -> Self {
        Self::Set(keys(place), value.into())
    }

    /// Puts back what was at a place.
    pub(crate) fn restore(place: &[&str]) -> Self {
        Self::Restore(keys(place))
    }

    /// The place at or below which it changes something.
    pub(crate) fn place(&self) -> Vec<String> {
        match self {
            Self::Set(place, _) | Self::Remove(place) | Self::Restore(place) => place.clone(),
            Self::AttachDisk { .. } => keys(&["instance", "disks"]),
            Self::AttachInterface { .. } => keys(&["instance", "networkInterfaces"]),
            Self::DetachAccount(_) => keys(&["instance", "serviceAccounts"]),
        }
    }

    /// Changes a document. Does nothing where something of another kind stands above the place.
    pub(crate) fn apply(&self, document: &mut Value) {
        match self {
            Self::Set(place, value) => put(document, place, value.clone()),
            Self::Remove(place) => take(document, place),
            // What was there is known to who takes note of the changes.
            Self::Restore(_) => {}
            Self::AttachDisk {
                name,
                interface,
                kind,
            } => append(document, &self.place(), |items| {
                let index = items.len();
                let name = name
                    .clone()
                    .unwrap_or_else(|| format!("persistent-disk-{index}"));
                json!({
                    "deviceName": name,
                    "index": index,
                    "interface": interface,
                    "mode": "READ_WRITE",
                    "type": kind,
                })
            }),
            Self::AttachInterface { ip, network } => {
                append(document, &self.place(), |items| {
                    interface(items, ip.as_deref(), network.as_deref())
                });
            }
            Self::DetachAccount(name) => {
                let accounts = self.place().iter().try_fold(document, step);
                if let Some(Value::Object(accounts)) = accounts {
                    detach(accounts, name);
                }
            }
        }
    }
}

/// In a few words: `instance/preempted becomes TRUE`. A long value is cut.
impl fmt::Display for Patch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const LONGEST: usize = 200;
        let place = self.place();
        let segments: Vec<String> = place
            .iter()
            .enumerate()
            .map(|(index, key)| match is_verbatim(&place[..index]) {
                true => key.escape_debug().to_string(),
                false => kebab(key),
            })
            .collect();
        let path = segments.join("/");
        match self {
            Self::Set(_, value) => {
                let value = render::plain(value);
                let shown: String = value.chars().take(LONGEST).collect();
                let more = if shown.len() < value.len() { "..." } else { "" };
                write!(f, "{path} becomes {}{more}", shown.escape_debug())
            }
            Self::Remove(_) => write!(f, "{path} is removed"),
            Self::Restore(_) => write!(f, "{path} is as before"),
            Self::AttachDisk { .. } => write!(f, "{path} gets a disk"),
            Self::AttachInterface { .. } => write!(f, "{path} gets an interface"),
            Self::DetachAccount(name) => write!(f, "{path} loses {}", name.escape_debug()),
        }
    }
}

/// A network interface in a network of its own, beside these.
fn interface(items: &[Value], ip: Option<&str>, network: Option<&str>) -> Value {
    let index = u8::try_from(items.len()).unwrap_or(u8::MAX);
    let first = items.first().map(|first| first["network"].clone());
    let network = network.map_or_else(|| first.unwrap_or(Value::Null), Value::from);
    // Each in a network of its own, as on a real machine.
    let net = 128 + index % 64;
    let ip = ip.map_or_else(|| format!("10.{net}.0.7"), Into::into);
    let numbers = ip
        .parse()
        .map_or([10, net, 0, 7], |ip: std::net::Ipv4Addr| ip.octets());
    let [a, b, c, d] = numbers;
    json!({
        "accessConfigs": [],
        "dnsServers": ["169.254.169.254"],
        "forwardedIps": [],
        "gateway": format!("{a}.{b}.0.1"),
        "ip": ip,
        "ipAliases": [],
        "mac": format!("42:01:{a:02x}:{b:02x}:{c:02x}:{d:02x}"),
        "mtu": 1460,
        "network": network,
        "subnetmask": "255.255.240.0",
        "targetInstanceIps": [],
    })
}

fn detach(accounts: &mut Map<String, Value>, name: &str) {
    let has_alias = |account: &Value| {
        let aliases = account["aliases"].as_array();
        aliases.is_some_and(|aliases| aliases.iter().any(|alias| alias == name))
    };
    let found = accounts
        .iter()
        .find(|(key, account)| *key == name || has_alias(account))
        .map(|(key, account)| (key.clone(), account["email"].clone()));
    if let Some((found, email)) = found {
        accounts
            .retain(|key, account| *key != found && (email.is_null() || account["email"] != email));
    }
}

pub(super) fn put(document: &mut Value, place: &[String], value: Value) {
    let Some((last, parents)) = place.split_last() else {
        return;
    };
    let mut here = document;
    for key in parents {
        let Value::Object(map) = here else { return };
        here = map.entry(key.as_str()).or_insert_with(empty);
    }
    if let Value::Object(map) = here {
        map.insert(last.clone(), value);
    }
}

pub(super) fn take(document: &mut Value, place: &[String]) {
    if let Some((last, parents)) = place.split_last()
        && let Some(Value::Object(map)) = parents.iter().try_fold(document, step)
    {
        map.remove(last);
    }
}

fn append(document: &mut Value, place: &[String], item: impl FnOnce(&[Value]) -> Value) {
    if place.iter().try_fold(&*document, look).is_none() {
        put(document, place, Value::Array(Vec::new()));
    }
    if let Some(Value::Array(items)) = place.iter().try_fold(document, step) {
        let item = item(items);
        items.push(item);
    }
}

fn keys(place: &[&str]) -> Vec<String> {
    place.iter().map(|key| (*key).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::change::{Change, patched};

    #[test]
    fn disks_and_interfaces_come_behind_those_there_are() {
        let document = json!({"instance": {
            "disks": [{"deviceName": "boot", "index": 0}],
            "networkInterfaces": [{"network": "n", "ip": "10.128.0.7"}],
        }});
        let disk = Patch::AttachDisk {
            name: None,
            interface: "SCSI".into(),
            kind: "PERSISTENT-SSD".into(),
        };
        let interface = Patch::AttachInterface {
            ip: None,
            network: None,
        };
        let (now, changes) = patched(&document, &[disk.clone(), disk, interface]);
        let disks = &now["instance"]["disks"];
        assert_eq!(disks[2]["deviceName"], "persistent-disk-2");
        assert_eq!(disks[2]["index"], 2);
        let added = &now["instance"]["networkInterfaces"][1];
        assert_eq!(
            (
                &added["ip"],
                &added["gateway"],
                &added["mac"],
                &added["network"]
            ),
            (
                &json!("10.129.0.7"),
                &json!("10.129.0.1"),
                &json!("42:01:0a:81:00:07"),
                &json!("n")
            )
        );
        assert_eq!(changes.len(), 2);
        let mut back = now;
        Change::take_back(&mut back, &changes, &mut |_| false);
        assert_eq!(back, document);
    }

    #[test]
    fn an_account_goes_under_all_its_names() {
        let account = |email: &str| json!({"email": email, "aliases": ["robot"]});
        let document = json!({"instance": {"serviceAccounts": {
            "default": account("a@b"), "a@b": account("a@b"), "c@d": {"email": "c@d"},
        }}});
        for name in ["default", "a@b", "robot"] {
            let (now, _) = patched(&document, &[Patch::DetachAccount(name.into())]);
            assert_eq!(
                now["instance"]["serviceAccounts"],
                json!({"c@d": {"email": "c@d"}}),
                "{name}"
            );
        }
        let (now, _) = patched(&document, &[Patch::DetachAccount("x".into())]);
        assert_eq!(now, document);
    }

    #[test]
    fn odd_documents_are_left_alone() {
        for document in [
            json!(1),
            json!({"instance": 1}),
            json!({"instance": {"disks": 1}}),
        ] {
            let (now, changes) = patched(
                &document,
                &[
                    Patch::AttachDisk {
                        name: None,
                        interface: "SCSI".into(),
                        kind: "PERSISTENT".into(),
                    },
                    Patch::DetachAccount("default".into()),
                ],
            );
            assert_eq!(now, document);
            let mut back = now;
            Change::take_back(&mut back, &changes, &mut |_| false);
            assert_eq!(back, document);
        }
    }
}
