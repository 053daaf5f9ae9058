//! What the server knows of the machine, and what the machine tells the server.

#![allow(clippy::unwrap_used, reason = "a test says with it what it expects")]

mod support;

use futures_executor::block_on;
use gce_auth::ErrorKind;
use gce_auth_emulator::{Emulator, Profile};
use support::{client, emulator, impatient};

#[test]
fn every_getter_of_the_machine_tells_what_the_server_knows() {
    let emulator = emulator();
    let client = client(&emulator).build().unwrap();
    macro_rules! both {
        ($name:ident, $blocking:ident) => {{
            let value = client.$blocking().unwrap();
            assert_eq!(block_on(client.$name()).unwrap(), value);
            value
        }};
    }
    assert_eq!(both!(machine_type, blocking_machine_type), "e2-medium");
    assert!(!both!(cpu_platform, blocking_cpu_platform).is_empty());
    let image = both!(image, blocking_image).unwrap();
    assert!(image.starts_with("projects/debian-cloud/"), "{image}");
    assert_eq!(both!(description, blocking_description), "");
    assert_eq!(both!(tags, blocking_tags), ["http-server", "https-server"]);
    assert_eq!(both!(internal_ip, blocking_internal_ip), "10.128.0.7");
    let external = both!(external_ip, blocking_external_ip);
    assert_eq!(external.as_deref(), Some("203.0.113.82"));
    let interfaces = both!(network_interfaces, blocking_network_interfaces);
    assert_eq!(interfaces[0].mac, "42:01:0a:80:00:07");
    assert_eq!(interfaces[0].external_ips, ["203.0.113.82"]);
    let disks = both!(disks, blocking_disks);
    assert_eq!(
        (&*disks[0].device_name, disks[0].index),
        ("persistent-disk-0", 0)
    );
    assert_eq!(both!(licenses, blocking_licenses), ["2147286739765738111"]);
    let scheduling = both!(scheduling, blocking_scheduling);
    assert!(scheduling.automatic_restart && !scheduling.preemptible);
    assert_eq!(scheduling.on_host_maintenance, "MIGRATE");
    assert_eq!(both!(maintenance_event, blocking_maintenance_event), "NONE");
    assert!(!both!(preempted, blocking_preempted));
    assert_eq!(
        both!(upcoming_maintenance, blocking_upcoming_maintenance),
        None
    );
}

#[test]
fn planned_maintenance_is_told() {
    let emulator = emulator();
    let planned = r#"{"canReschedule":"TRUE","maintenanceStatus":"PENDING","type":"SCHEDULED",
        "windowStartTime":"2025-12-01T19:00:01Z"}"#;
    emulator
        .set_json("instance/upcoming-maintenance", planned)
        .unwrap();
    emulator.set("instance/preempted", "TRUE").unwrap();
    let client = client(&emulator).build().unwrap();
    let planned = client.blocking_upcoming_maintenance().unwrap().unwrap();
    assert!(planned.can_reschedule);
    assert_eq!((&*planned.kind, &*planned.status), ("SCHEDULED", "PENDING"));
    assert_eq!(
        planned.window_start.as_deref(),
        Some("2025-12-01T19:00:01Z")
    );
    assert!(client.blocking_preempted().unwrap());
}

#[test]
fn a_platform_without_machines_has_none_of_it() {
    let emulator = Emulator::builder()
        .profile(Profile::CloudRun)
        .start()
        .unwrap();
    let client = client(&emulator).build().unwrap();
    assert_eq!(
        client.blocking_disks().unwrap_err().kind(),
        ErrorKind::NotFound
    );
    assert_eq!(client.blocking_external_ip().unwrap(), None);
    assert_eq!(client.blocking_image().unwrap(), None);
    assert_eq!(client.blocking_upcoming_maintenance().unwrap(), None);
}

#[test]
fn guest_attributes_are_written_read_and_deleted() {
    let emulator = emulator();
    let client = impatient(&emulator);
    let error = client
        .blocking_put_guest_attribute("ns", "key", "v")
        .unwrap_err();
    assert_eq!(
        (error.kind(), error.status()),
        (ErrorKind::Forbidden, Some(403))
    );
    assert!(
        error.to_string().contains("enable-guest-attributes"),
        "{error}"
    );
    let error = block_on(client.guest_attribute("ns", "key")).unwrap_err();
    assert!(error.hint().unwrap().contains("enable-guest-attributes"));

    emulator
        .set("instance/attributes/enable-guest-attributes", "TRUE")
        .unwrap();
    assert_eq!(client.blocking_guest_attribute("ns", "key").unwrap(), None);
    assert!(client.blocking_guest_attributes("ns").unwrap().is_empty());
    block_on(client.put_guest_attribute("ns", "key", " a value\n")).unwrap();
    client
        .blocking_put_guest_attribute("ns", "other", "")
        .unwrap();
    client
        .blocking_put_guest_attribute("ns", "other", "x")
        .unwrap();
    let value = block_on(client.guest_attribute("ns", "key")).unwrap();
    assert_eq!(value.as_deref(), Some(" a value\n"));
    assert_eq!(
        block_on(client.guest_attributes("ns")).unwrap(),
        ["key", "other"]
    );
    assert!(block_on(client.delete_guest_attribute("ns", "key")).unwrap());
    assert!(!client.blocking_delete_guest_attribute("ns", "key").unwrap());
    assert!(block_on(client.delete_guest_attributes("ns")).unwrap());
    assert_eq!(
        client.blocking_guest_attribute("ns", "other").unwrap(),
        None
    );
}
