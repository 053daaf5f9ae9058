//! `Subscribe` of cloud.google.com/go/compute/metadata while the emulated machine is preempted and
//! maintained. Kubernetes' handler of node terminations on Compute Engine watches by it.

mod foreign;

use std::time::Duration;

use foreign::follow::follow;
use gce_auth_conformance::interop;
use gce_auth_emulator::{MachineEvent, Maintenance};
use serde_json::json;

const AGENT: &str = "gcloud-golang/0.1";

#[test]
fn subscribe_sees_a_preemption_and_maintenance() {
    let Some(client) = interop::ready_or_skip(interop::go(foreign::target())) else {
        return;
    };
    let emulator = foreign::emulator().start().unwrap();
    let preempt = || assert!(emulator.play(MachineEvent::preempt()).is_ok());
    let path = "instance/preempted";
    let values = follow(&client, &emulator, path, "TRUE", &[&preempt]);
    assert_eq!(values, json!(["FALSE", "TRUE"]));
    // What it asked: the value, and then with each ETag for the next.
    let requests = emulator.requests();
    let asked: Vec<_> = requests
        .iter()
        .filter(|request| request.path.ends_with(path))
        .collect();
    assert_eq!(asked.len(), 2, "{requests:?}");
    assert_eq!(asked[0].query, "");
    let etag = asked[1]
        .query
        .strip_prefix("wait_for_change=true&last_etag=")
        .unwrap();
    assert!(!etag.is_empty());
    assert!(asked.iter().all(|request| {
        let (agent, flavor) = (
            request.header("user-agent"),
            request.header("metadata-flavor"),
        );
        agent == Some(AGENT) && flavor == Some("Google")
    }));

    emulator.reset();
    let second = Duration::from_secs(1);
    let announce = || assert!(emulator.play(Maintenance::migrate()).is_ok());
    let finish = || {
        emulator.advance(60 * second);
        emulator.advance(60 * second);
    };
    let path = "instance/maintenance-event";
    let values = follow(&client, &emulator, path, "NONE", &[&announce, &finish]);
    assert_eq!(
        values,
        json!(["NONE", "MIGRATE_ON_HOST_MAINTENANCE", "NONE"])
    );

    // A cluster of which this node is not hit, and then is.
    emulator.reset();
    let others = || {
        let hit = gce_auth_emulator::EventSchedule::new(MachineEvent::preempt());
        emulator
            .schedule(hit.clone().client("node-exporter"))
            .unwrap();
        assert_eq!(emulator.waiting(), 1);
        emulator.schedule(hit.client(AGENT)).unwrap();
    };
    let values = follow(&client, &emulator, "instance/preempted", "TRUE", &[&others]);
    assert_eq!(values, json!(["FALSE", "TRUE"]));
}
