//! What the server says of the machine itself, as JSON documents.

use serde_json::{Map, Value};

use crate::{
    values::error::Error,
    wire::response::{Answer, unusable},
};

/// A network interface of the instance.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct NetworkInterface {
    /// The network, like `projects/1234/networks/default`.
    pub network: String,
    /// The hardware address.
    pub mac: String,
    /// The largest packet, in bytes.
    pub mtu: Option<u64>,
    /// The internal IPv4 address; `None` on a machine with IPv6 alone.
    pub ip: Option<String>,
    /// The external IPv4 addresses, by which others reach this one.
    pub external_ips: Vec<String>,
    /// The IPv6 addresses.
    pub ipv6s: Vec<String>,
    /// The IPv4 gateway.
    pub gateway: Option<String>,
    /// The mask of the IPv4 subnet, like `255.255.240.0`.
    pub subnet_mask: Option<String>,
    /// The name servers.
    pub dns_servers: Vec<String>,
    /// Addresses that load balancers and routes forward to this interface.
    pub forwarded_ips: Vec<String>,
    /// Ranges of addresses that are this interface's as well, like `10.0.1.0/24`.
    pub ip_aliases: Vec<String>,
    /// Addresses of target instances.
    pub target_instance_ips: Vec<String>,
}

/// A disk of the instance.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Disk {
    /// The name in `/dev/disk/by-id/google-…`.
    pub device_name: String,
    /// Which disk it is; 0 is the one that the machine boots from.
    pub index: u64,
    /// `SCSI` or `NVME`.
    pub interface: String,
    /// `READ_WRITE` or `READ_ONLY`.
    pub mode: String,
    /// `PERSISTENT`, `PERSISTENT-SSD`, `LOCAL-SSD`, and others.
    pub kind: String,
}

/// What becomes of the instance when its host is serviced, or fails.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Scheduling {
    /// Whether it is started again after the platform stopped it.
    pub automatic_restart: bool,
    /// `MIGRATE` or `TERMINATE`.
    pub on_host_maintenance: String,
    /// Whether it may be stopped at any time.
    pub preemptible: bool,
}

/// Maintenance of the host that is planned, or under way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct UpcomingMaintenance {
    /// `SCHEDULED` or `UNSCHEDULED`.
    pub kind: String,
    /// `PENDING` or `ONGOING`.
    pub status: String,
    /// Whether it can be had earlier.
    pub can_reschedule: bool,
    /// When it begins at the earliest (RFC 3339).
    pub window_start: Option<String>,
    /// When it begins at the latest (RFC 3339).
    pub latest_window_start: Option<String>,
    /// When it has ended (RFC 3339).
    pub window_end: Option<String>,
}

pub(crate) fn network_interfaces(answer: &Answer) -> Result<Vec<NetworkInterface>, Error> {
    each(answer, |fields| NetworkInterface {
        network: text(fields, "network"),
        mac: text(fields, "mac"),
        mtu: number(fields, "mtu"),
        ip: some_text(fields, "ip"),
        external_ips: objects(fields.get("accessConfigs"))
            .filter_map(|access| some_text(access, "externalIp"))
            .collect(),
        ipv6s: texts(fields.get("ipv6s")),
        gateway: some_text(fields, "gateway"),
        subnet_mask: some_text(fields, "subnetmask"),
        dns_servers: texts(fields.get("dnsServers")),
        forwarded_ips: texts(fields.get("forwardedIps")),
        ip_aliases: texts(fields.get("ipAliases")),
        target_instance_ips: texts(fields.get("targetInstanceIps")),
    })
}

pub(crate) fn disks(answer: &Answer) -> Result<Vec<Disk>, Error> {
    each(answer, |fields| Disk {
        device_name: text(fields, "deviceName"),
        index: number(fields, "index").unwrap_or_default(),
        interface: text(fields, "interface"),
        mode: text(fields, "mode"),
        kind: text(fields, "type"),
    })
}

/// The ids of the licenses, which are text.
pub(crate) fn licenses(answer: &Answer) -> Result<Vec<String>, Error> {
    each(answer, |fields| text(fields, "id"))
}

/// A list of texts, like the tags.
pub(crate) fn list(answer: &Answer) -> Result<Vec<String>, Error> {
    match answer.json()? {
        list @ Value::Array(_) => Ok(texts(Some(&list))),
        _ => Err(unusable("the answer is no list")),
    }
}

pub(crate) fn scheduling(answer: &Answer) -> Result<Scheduling, Error> {
    let fields = answer.object()?;
    Ok(Scheduling {
        automatic_restart: flag(&text(&fields, "automaticRestart")),
        on_host_maintenance: text(&fields, "onHostMaintenance"),
        preemptible: flag(&text(&fields, "preemptible")),
    })
}

/// `None` where nothing is planned, which some servers say as `NONE`.
pub(crate) fn upcoming_maintenance(answer: &Answer) -> Result<Option<UpcomingMaintenance>, Error> {
    let said = answer.text()?.trim();
    if said.is_empty() || said.trim_matches('"') == "NONE" {
        return Ok(None);
    }
    let fields = answer.object()?;
    Ok((!fields.is_empty()).then(|| UpcomingMaintenance {
        kind: text(&fields, "type"),
        status: text(&fields, "maintenanceStatus"),
        can_reschedule: flag(&text(&fields, "canReschedule")),
        window_start: some_text(&fields, "windowStartTime"),
        latest_window_start: some_text(&fields, "latestWindowStartTime"),
        window_end: some_text(&fields, "windowEndTime"),
    }))
}

/// `TRUE` or `FALSE`, as the server spells them.
pub(crate) fn flag(text: &str) -> bool {
    text.trim().eq_ignore_ascii_case("true")
}

fn each<T>(answer: &Answer, read: impl Fn(&Map<String, Value>) -> T) -> Result<Vec<T>, Error> {
    match answer.json()? {
        Value::Array(list) => list
            .iter()
            .map(|item| item.as_object().map(&read))
            .collect::<Option<_>>()
            .ok_or_else(|| unusable("the answer is a list, but not of objects")),
        _ => Err(unusable("the answer is no list")),
    }
}

fn objects(value: Option<&Value>) -> impl Iterator<Item = &Map<String, Value>> {
    let list = value.and_then(Value::as_array);
    list.into_iter().flatten().filter_map(Value::as_object)
}

fn texts(value: Option<&Value>) -> Vec<String> {
    let list = value.and_then(Value::as_array);
    let texts = list.into_iter().flatten().filter_map(Value::as_str);
    texts.map(str::to_owned).collect()
}

/// A text, a flag or a number as text; empty where there is none.
fn text(fields: &Map<String, Value>, name: &str) -> String {
    match fields.get(name) {
        Some(Value::String(text)) => text.clone(),
        Some(other @ (Value::Bool(_) | Value::Number(_))) => other.to_string(),
        _ => String::new(),
    }
}

fn some_text(fields: &Map<String, Value>, name: &str) -> Option<String> {
    Some(text(fields, name)).filter(|text| !text.is_empty())
}

/// A number, also where it is written as text.
fn number(fields: &Map<String, Value>, name: &str) -> Option<u64> {
    text(fields, name).parse().ok()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::Response;
    use proptest::prelude::*;

    use super::*;
    use crate::{values::token::Now, wire::response};

    fn answer(body: &str) -> Answer {
        let response = Response::builder().header("Metadata-Flavor", "Google");
        let response = response.body(body.as_bytes().to_vec()).unwrap();
        let now = Now::new(Duration::ZERO, Duration::ZERO);
        response::accept(response, now).unwrap()
    }

    #[test]
    fn interfaces_are_read_as_the_server_describes_them() {
        let found = network_interfaces(&answer(
            r#"[{"accessConfigs":[{"externalIp":"33.1.2.3","type":"ONE_TO_ONE_NAT"},{"externalIp":""}],
                "dnsServers":["169.254.169.254"],"forwardedIps":["10.9.0.1"],"gateway":"10.138.0.1",
                "ip":"10.138.0.7","ipAliases":["10.0.1.0/24"],"mac":"42:01:0a:9a:0e:27","mtu":1460,
                "network":"projects/1/networks/default","subnetmask":"255.255.240.0",
                "targetInstanceIps":[]},{"ipv6s":["fd20::1"]}]"#,
        ))
        .unwrap();
        assert_eq!(found[0].external_ips, ["33.1.2.3"]);
        assert_eq!(found[0].ip.as_deref(), Some("10.138.0.7"));
        assert_eq!((found[0].mtu, found[0].ip_aliases.len()), (Some(1460), 1));
        assert_eq!(found[0].forwarded_ips, ["10.9.0.1"]);
        assert_eq!(
            (found[1].ip.as_ref(), &found[1].ipv6s[..]),
            (None, &["fd20::1".to_owned()][..])
        );
    }

    #[test]
    fn the_rest_of_the_machine_is_read_too() {
        let disk = &disks(&answer(
            r#"[{"deviceName":"boot","index":3,"interface":"NVME","mode":"READ_ONLY","type":"PERSISTENT-SSD"}]"#,
        ))
        .unwrap()[0];
        assert_eq!(
            (&*disk.device_name, disk.index, &*disk.kind),
            ("boot", 3, "PERSISTENT-SSD")
        );
        assert_eq!(licenses(&answer(r#"[{"id":"385"}]"#)).unwrap(), ["385"]);
        assert_eq!(list(&answer(r#"["a","b"]"#)).unwrap(), ["a", "b"]);
        let plan = scheduling(&answer(
            r#"{"automaticRestart":"TRUE","onHostMaintenance":"MIGRATE","preemptible":"FALSE"}"#,
        ))
        .unwrap();
        assert!(plan.automatic_restart && !plan.preemptible);
        assert_eq!(plan.on_host_maintenance, "MIGRATE");
    }

    #[test]
    fn nothing_planned_is_none() {
        for none in ["NONE", "\"NONE\"", "NONE\n", "{}", ""] {
            assert_eq!(upcoming_maintenance(&answer(none)).unwrap(), None, "{none}");
        }
        let planned = upcoming_maintenance(&answer(
            r#"{"canReschedule":"TRUE","maintenanceStatus":"PENDING","type":"SCHEDULED",
                "windowStartTime":"2025-12-01T19:00:01Z"}"#,
        ))
        .unwrap()
        .unwrap();
        assert!(planned.can_reschedule && planned.window_end.is_none());
        assert_eq!((&*planned.status, &*planned.kind), ("PENDING", "SCHEDULED"));
    }

    #[test]
    fn what_is_no_list_is_an_error() {
        for body in ["{}", "x", "[1]", ""] {
            assert!(disks(&answer(body)).is_err(), "{body}");
            assert!(network_interfaces(&answer(body)).is_err(), "{body}");
        }
        assert!(list(&answer("{}")).is_err() && scheduling(&answer("[]")).is_err());
    }

    proptest! {
        #[test]
        fn no_document_is_too_much(body in "[\\[\\]{}\":,a-z0-9 ]{0,60}") {
            let answer = answer(&body);
            let _ = (disks(&answer), network_interfaces(&answer), licenses(&answer), list(&answer));
            let _ = (scheduling(&answer), upcoming_maintenance(&answer));
        }
    }
}
