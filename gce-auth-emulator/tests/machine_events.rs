//! What happens to a machine, as clients see it.

#![allow(clippy::unwrap_used, reason = "a test says with it what it expects")]

mod client;

use std::{
    io::{Read, Write},
    net::TcpStream,
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use client::{Answer, connect, exchange, get, parse, request};
use gce_auth_emulator::{
    Account, Emulator, Event, EventSchedule, EventState, Fault, FaultRule, MachineEvent,
    MachineStep, Maintenance,
};
use serde_json::{Value, json};

const SECOND: Duration = Duration::from_secs(1);

fn control(emulator: &Emulator, method: &str, path: &str, body: &Value) -> Answer {
    let host = emulator.addr().to_string();
    let body = match body {
        Value::Null => String::new(),
        body => body.to_string(),
    };
    let target = format!("/emulator/v1/{path}");
    let headers = [("Host", host.as_str())];
    request(emulator.addr(), method, &target, &headers, body.as_bytes())
}

/// Asks under a name, and leaves the answer to be read.
fn ask(emulator: &Emulator, agent: &str, path: &str) -> TcpStream {
    let mut stream = connect(emulator.addr());
    write!(
        stream,
        "GET /computeMetadata/v1/{path} HTTP/1.1\r\nHost: metadata.google.internal\r\n\
         Metadata-Flavor: Google\r\nUser-Agent: {agent}\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    stream
}

fn answer(mut stream: TcpStream) -> Answer {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    parse(&bytes)
}

fn get_as(emulator: &Emulator, agent: &str, path: &str) -> Answer {
    answer(ask(emulator, agent, path))
}

fn text(emulator: &Emulator, path: &str) -> String {
    get(emulator.addr(), path).text().to_owned()
}

/// Whether a request for metadata gets no answer.
fn is_gone(emulator: &Emulator) -> bool {
    let request =
        b"GET /computeMetadata/v1/instance/id HTTP/1.1\r\nHost: metadata.google.internal\r\n\
                    Metadata-Flavor: Google\r\nConnection: close\r\n\r\n";
    exchange(emulator.addr(), request).is_empty()
}

fn waiting(emulator: &Emulator, count: usize) {
    while emulator.waiting() != count {
        thread::yield_now();
    }
}

#[test]
fn a_preempted_machine_is_told_and_ends() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let observer = Arc::clone(&told);
    let emulator = Emulator::builder()
        .on_event(move |event| {
            if let Event::Machine { step, .. } = event {
                observer
                    .lock()
                    .unwrap()
                    .push((step.clone(), event.to_string()));
            }
        })
        .start()
        .unwrap();
    let before = get(emulator.addr(), "instance/preempted");
    let etag = before.header("ETag").unwrap();
    let path = format!("instance/preempted?wait_for_change=true&last_etag={etag}");
    let waiter = ask(&emulator, "x", &path);
    waiting(&emulator, 1);
    let id = emulator.play(MachineEvent::preempt()).unwrap();
    let seen = answer(waiter);
    assert_eq!(seen.text(), "TRUE");
    assert_ne!(seen.header("ETag"), Some(etag));
    assert_eq!(
        get(emulator.addr(), "instance/preempted").header("ETag"),
        seen.header("ETag")
    );
    let state = emulator.machine_events()[0].state;
    assert_eq!(
        (state, &*state.to_string()),
        (EventState::Playing, "playing")
    );
    emulator.advance(29 * SECOND);
    assert!(!is_gone(&emulator));
    emulator.advance(SECOND);
    assert!(is_gone(&emulator));
    let event = &emulator.machine_events()[0];
    assert_eq!(
        (event.state, event.is_down, event.next_at),
        (EventState::Over, true, None)
    );
    // What drives the emulator is no part of the machine.
    let shown = control(&emulator, "GET", "machine-events", &Value::Null).json();
    assert_eq!(shown["machineEvents"][0]["isDown"], true);
    assert!(emulator.cancel_event(id) && !emulator.cancel_event(id));
    assert_eq!(text(&emulator, "instance/preempted"), "FALSE");
    let told = told.lock().unwrap();
    assert!(
        matches!(told[0].0, Some(MachineStep::Stopping { within, .. }) if within == 30 * SECOND)
    );
    assert_eq!(told[1].0, Some(MachineStep::Ended));
    assert_eq!(
        told[0].1,
        "event 1 (preempt): instance/preempted becomes TRUE; the machine shuts down within 30 s"
    );
}

#[test]
fn maintenance_tells_before_and_is_over_then() {
    let emulator = Emulator::builder().start().unwrap();
    let body = json!({
        "event": {"kind": "maintenance", "action": "TERMINATE", "announcedSeconds": 600},
        "inSeconds": 60,
    });
    let scheduled = control(&emulator, "POST", "machine-events", &body);
    assert_eq!(
        (scheduled.status, scheduled.json()),
        (200, json!({"id": 1}))
    );
    let seen = || {
        let upcoming = get(
            emulator.addr(),
            "instance/upcoming-maintenance/?recursive=true",
        );
        let status = match upcoming.status {
            200 => upcoming.json()["maintenanceStatus"]
                .as_str()
                .unwrap()
                .to_owned(),
            _ => text(&emulator, "instance/upcoming-maintenance"),
        };
        (status, text(&emulator, "instance/maintenance-event"))
    };
    let pair = |status: &str, event: &str| (status.to_owned(), event.to_owned());
    let terminate = "TERMINATE_ON_HOST_MAINTENANCE";
    assert_eq!(seen(), pair("NONE", "NONE"));
    emulator.advance(60 * SECOND);
    assert_eq!(seen(), pair("PENDING", "NONE"));
    let window = get(
        emulator.addr(),
        "instance/upcoming-maintenance/?recursive=true",
    )
    .json();
    let shown = control(&emulator, "GET", "machine-events", &Value::Null).json();
    let steps = shown["machineEvents"][0]["steps"].as_array().unwrap();
    assert_eq!(window["windowStartTime"], steps[2]["at"]);
    assert_eq!(
        (&window["type"], &window["canReschedule"]),
        (&json!("SCHEDULED"), &json!("FALSE"))
    );
    emulator.advance(600 * SECOND);
    assert_eq!(seen(), pair("PENDING", terminate));
    emulator.advance(60 * SECOND);
    assert_eq!(seen(), pair("ONGOING", terminate));
    emulator.advance(90 * SECOND);
    assert!(is_gone(&emulator));
    emulator.advance(60 * SECOND);
    assert_eq!(seen(), pair("NONE", "NONE"));
    assert_eq!(emulator.machine_events()[0].state, EventState::Over);
}

#[test]
fn an_event_of_some_clients_is_seen_by_no_other() {
    let emulator = Emulator::builder().start().unwrap();
    let paths = ["instance/preempted", "instance/?recursive=true"];
    let see = |agent: &str| {
        paths.map(|path| {
            let answer = get_as(&emulator, agent, path);
            (
                answer.header("ETag").unwrap().to_owned(),
                answer.text().to_owned(),
            )
        })
    };
    let before = see("node-b/1");
    assert_eq!(see("node-a/1"), before);
    let wait = "instance/?recursive=true&wait_for_change=true";
    let hit = ask(&emulator, "node-a/1", wait);
    let spared = ask(
        &emulator,
        "node-b/1",
        &format!("{wait}&last_etag={}", before[1].0),
    );
    waiting(&emulator, 2);
    let schedule = EventSchedule::new(MachineEvent::preempt()).client("Node-A");
    let id = emulator.schedule(schedule).unwrap();
    let woken = answer(hit);
    assert_eq!(woken.json()["preempted"], "TRUE");
    assert_eq!(see("node-b/1"), before);
    let after = see("node-a/1");
    assert_eq!(after[0].1, "TRUE");
    assert_eq!(woken.header("ETag"), Some(&*after[1].0));
    assert!(
        after
            .iter()
            .zip(&before)
            .all(|(after, before)| after.0 != before.0)
    );
    // A change for all wakes the other, and is seen by both.
    assert_eq!(emulator.waiting(), 1);
    emulator.set("instance/attributes/a", "1").unwrap();
    let other = answer(spared).json();
    assert_eq!(
        (&other["preempted"], &other["attributes"]["a"]),
        (&json!("FALSE"), &json!("1"))
    );
    let both = get_as(&emulator, "node-a/1", "instance/?recursive=true").json();
    assert_eq!(
        (&both["preempted"], &both["attributes"]["a"]),
        (&json!("TRUE"), &json!("1"))
    );
    // Its machine alone ends.
    emulator.advance(30 * SECOND);
    let mut gone = Vec::new();
    ask(&emulator, "node-a/1", "instance/id")
        .read_to_end(&mut gone)
        .unwrap();
    assert!(gone.is_empty());
    assert_eq!(get_as(&emulator, "node-b/1", "instance/id").status, 200);
    assert!(emulator.cancel_event(id));
    assert_eq!(see("node-a/1"), see("node-b/1"));
}

#[test]
fn clients_are_known_by_their_network_too() {
    let emulator = Emulator::builder().start().unwrap();
    let detach = || EventSchedule::new(MachineEvent::detach_account());
    let path = "instance/service-accounts/default/token";
    let id = emulator.schedule(detach().client("10.0.0.0/8")).unwrap();
    assert_eq!(get(emulator.addr(), path).status, 200);
    emulator.cancel_event(id);
    let id = emulator.schedule(detach().client("127.0.0.0/8")).unwrap();
    assert_eq!(get(emulator.addr(), path).status, 404);
    emulator.cancel_event(id);
    assert_eq!(get(emulator.addr(), path).status, 200);
    let why = emulator
        .schedule(detach().client("10.0.0.1/8"))
        .unwrap_err();
    assert!(why.to_string().contains("10.0.0.0/8"), "{why}");
}

#[test]
fn maintenance_of_some_clients_leaves_nothing_behind() {
    let emulator = Emulator::builder().start().unwrap();
    let schedule = EventSchedule::new(Maintenance::migrate()).client("node-a");
    emulator.schedule(schedule).unwrap();
    let seen = |agent: &str| {
        get_as(&emulator, agent, "instance/maintenance-event")
            .text()
            .to_owned()
    };
    assert_eq!(seen("node-a"), "MIGRATE_ON_HOST_MAINTENANCE");
    emulator.advance(120 * SECOND);
    assert_eq!(seen("node-a"), "NONE");
    emulator.play(Maintenance::terminate()).unwrap();
    assert_eq!(seen("node-a"), "TERMINATE_ON_HOST_MAINTENANCE");
}

#[test]
fn accounts_disks_interfaces_and_attributes_change() {
    let emulator = Emulator::builder().start().unwrap();
    let email = || text(&emulator, "instance/service-accounts/default/email");
    let old = email();
    emulator
        .play(MachineEvent::exchange_account(Account::new("new@x")))
        .unwrap();
    assert_eq!(email(), "new@x");
    assert_eq!(
        text(&emulator, "instance/service-accounts/"),
        "default/\nnew@x/\n"
    );
    let detached = emulator.play(MachineEvent::detach_account()).unwrap();
    assert_eq!(
        get(emulator.addr(), "instance/service-accounts/default/token").status,
        404
    );
    assert!(emulator.cancel_event(detached));
    assert_eq!(email(), "new@x");
    assert!(emulator.cancel_event(1));
    assert_eq!(email(), old);
    let waiter = ask(
        &emulator,
        "x",
        "instance/disks/?recursive=true&wait_for_change=true",
    );
    waiting(&emulator, 1);
    emulator.play(MachineEvent::attach_disk()).unwrap();
    assert_eq!(answer(waiter).json()[1]["deviceName"], "persistent-disk-1");
    emulator.play(MachineEvent::attach_interface()).unwrap();
    assert_eq!(
        text(&emulator, "instance/network-interfaces/1/ip"),
        "10.129.0.7"
    );
    emulator
        .play(MachineEvent::set_attributes([("Some-Key", "v")]))
        .unwrap();
    assert_eq!(text(&emulator, "instance/attributes/Some-Key"), "v");
    let remove = json!({"event": {"kind": "set-attributes", "attributes": {"Some-Key": null}}});
    assert_eq!(
        control(&emulator, "POST", "machine-events", &remove).status,
        200
    );
    assert_eq!(
        get(emulator.addr(), "instance/attributes/Some-Key").status,
        404
    );
}

#[test]
fn a_moved_machine_finds_its_clock_ahead() {
    let emulator = Emulator::builder().start().unwrap();
    let drift = text(&emulator, "instance/virtual-clock/drift-token");
    let age = || {
        let token = get(emulator.addr(), "instance/service-accounts/default/token").json();
        token["expires_in"].as_u64().unwrap()
    };
    let young = age();
    let mut event = MachineEvent::live_migration();
    if let MachineEvent::LiveMigration { jump, .. } = &mut event {
        *jump = 1000 * SECOND;
    }
    emulator.play(event).unwrap();
    emulator.advance(60 * SECOND);
    assert!(age() <= young - 1060, "{} {young}", age());
    assert_ne!(text(&emulator, "instance/virtual-clock/drift-token"), drift);
    assert_eq!(text(&emulator, "instance/maintenance-event"), "NONE");
}

#[test]
fn events_of_a_plan_are_repeated_and_begin_anew_with_a_reset() {
    let emulator = Emulator::builder()
        .plan(
            "[[events]]\nevent = { kind = \"preempt\", notice-seconds = 10 }\n\
             in-seconds = 100\nrepeat = 2",
        )
        .start()
        .unwrap();
    for _ in 0..2 {
        assert_eq!(text(&emulator, "instance/preempted"), "FALSE");
        emulator.advance(100 * SECOND);
        assert_eq!(text(&emulator, "instance/preempted"), "TRUE");
        emulator.advance(10 * SECOND);
        assert!(is_gone(&emulator));
        // The machine starts again for the second time.
        emulator.advance(100 * SECOND);
        assert_eq!(text(&emulator, "instance/preempted"), "TRUE");
        emulator.advance(10 * SECOND);
        assert!(is_gone(&emulator));
        assert_eq!(emulator.machine_events()[0].state, EventState::Over);
        emulator.reset();
    }
    assert_eq!(emulator.machine_events()[0].state, EventState::Scheduled);
}

#[test]
fn what_cannot_be_played_is_refused() {
    let emulator = Emulator::builder().start().unwrap();
    for (body, part) in [
        (json!({"event": {"kind": "dance"}}), "dance"),
        (
            json!({"event": {"kind": "preempt"}, "at": "tomorrow"}),
            "RFC 3339",
        ),
        (
            json!({"event": {"kind": "preempt"}, "at": "2030-01-01T00:00:00Z", "inSeconds": 1}),
            "one of",
        ),
        (
            json!({"event": {"kind": "preempt"}, "repeat": 0}),
            "1,000 times",
        ),
        (
            json!({"event": {"kind": "attach-disk"}, "repeat": 2}),
            "time in between",
        ),
        (
            json!({"event": {"kind": "preempt"}, "client": ""}),
            "client",
        ),
        (json!({"event": {"kind": "preempt"}, "often": 1}), "often"),
    ] {
        let answer = control(&emulator, "POST", "machine-events", &body);
        let why = answer.json()["error"].as_str().unwrap().to_owned();
        assert!(answer.status == 400 && why.contains(part), "{why}");
    }
    assert!(emulator.machine_events().is_empty());
    for path in ["machine-events/1", "machine-events/x"] {
        assert_eq!(control(&emulator, "DELETE", path, &Value::Null).status, 404);
    }
    assert_eq!(
        control(&emulator, "PUT", "machine-events", &Value::Null).status,
        405
    );
    let why = Emulator::builder()
        .plan("[[events]]\nevent = { kind = \"dance\" }")
        .start();
    assert!(why.unwrap_err().to_string().contains("dance"));
}

#[test]
fn a_host_error_comes_without_notice_and_all_can_be_cancelled() {
    let emulator = Emulator::builder().start().unwrap();
    emulator.play(MachineEvent::host_error()).unwrap();
    assert!(is_gone(&emulator));
    emulator.advance(60 * SECOND);
    assert!(!is_gone(&emulator));
    emulator.play(MachineEvent::shutdown()).unwrap();
    let details = || get(emulator.addr(), "instance/shutdown-details/?recursive=true").json();
    assert_eq!(details()["stopState"], "PENDING_STOP");
    emulator.advance(600 * SECOND);
    assert_eq!(
        (&details()["stopState"], &details()["targetState"]),
        (&json!("STOPPING"), &json!("STOPPED"))
    );
    emulator.advance(90 * SECOND);
    assert!(is_gone(&emulator));
    assert_eq!(
        control(&emulator, "DELETE", "machine-events", &Value::Null).status,
        200
    );
    assert_eq!(details()["stopState"], "UNKNOWN");
    assert!(emulator.machine_events().is_empty());
}

#[test]
fn an_end_of_the_machine_ends_what_waits() {
    let emulator = Emulator::builder().start().unwrap();
    let wait = "instance/tags?wait_for_change=true";
    emulator.add_fault(FaultRule::new(Fault::Hang).path("instance/name"));
    emulator.add_fault(FaultRule::new(Fault::Delay(1000 * SECOND)).path("instance/zone"));
    for event in [
        MachineEvent::preempt(),
        MachineEvent::shutdown(),
        MachineEvent::host_error(),
        Maintenance::terminate().into(),
    ] {
        let paths = [wait, "instance/name", "instance/zone"];
        let asked = paths.map(|path| ask(&emulator, "node-a", path));
        let spared = ask(&emulator, "node-b", wait);
        waiting(&emulator, 2);
        while emulator.requests().len() < 4 {
            thread::yield_now();
        }
        let hit = EventSchedule::new(event).client("node-a");
        let id = emulator.schedule(hit).unwrap();
        // Past the end, and the start that may follow.
        emulator.advance(1000 * SECOND);
        for mut stream in asked {
            let mut rest = Vec::new();
            stream.read_to_end(&mut rest).unwrap();
            assert!(rest.is_empty(), "{}", String::from_utf8_lossy(&rest));
        }
        assert_eq!(emulator.waiting(), 1);
        assert!(emulator.cancel_event(id));
        emulator
            .set("instance/tags", &format!("[\"{id}\"]"))
            .unwrap();
        assert_eq!(answer(spared).status, 200);
        emulator.clear_requests();
    }
}

#[test]
fn time_that_passes_by_itself_plays_events_too() {
    let emulator = Emulator::builder().start().unwrap();
    let waiter = ask(&emulator, "x", "instance/preempted?wait_for_change=true");
    waiting(&emulator, 1);
    let soon = EventSchedule::new(MachineEvent::preempt()).after(Duration::from_millis(20));
    emulator.schedule(soon).unwrap();
    // Nothing but the emulator's own clock wakes it.
    assert_eq!(answer(waiter).text(), "TRUE");
}
