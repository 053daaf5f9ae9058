//! Events beside each other, on a clock that is moved, for clients of every kind.

#![allow(clippy::unwrap_used, reason = "a test says with it what it expects")]

mod client;

use std::{
    net::{Ipv6Addr, SocketAddr},
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use client::{Answer, get, request};
use gce_auth_emulator::{Emulator, Event, EventSchedule, EventState, MachineEvent, Maintenance};

const SECOND: Duration = Duration::from_secs(1);
const MIGRATE: &str = "MIGRATE_ON_HOST_MAINTENANCE";
const TERMINATE: &str = "TERMINATE_ON_HOST_MAINTENANCE";

fn text(emulator: &Emulator, path: &str) -> String {
    get(emulator.addr(), path).text().to_owned()
}

fn get_as(emulator: &Emulator, agent: &str, path: &str) -> Answer {
    let target = format!("/computeMetadata/v1/{path}");
    let headers = [("Metadata-Flavor", "Google"), ("User-Agent", agent)];
    request(emulator.addr(), "GET", &target, &headers, b"")
}

fn after(event: impl Into<MachineEvent>, time: Duration) -> EventSchedule {
    EventSchedule::new(event).after(time)
}

/// An emulator that notes its events, each with its time.
fn noting() -> (Emulator, Arc<Mutex<Vec<String>>>) {
    let told = Arc::new(Mutex::new(Vec::new()));
    let observer = Arc::clone(&told);
    let emulator = Emulator::builder()
        .on_event(move |event| {
            if let Event::Machine { .. } = event {
                observer.lock().unwrap().push(event.to_string());
            }
        })
        .start()
        .unwrap();
    (emulator, told)
}

#[test]
fn of_two_events_at_one_place_the_last_that_is_left_shows() {
    let emulator = Emulator::builder().start().unwrap();
    let seen = || text(&emulator, "instance/maintenance-event");
    let status = || {
        let path = "instance/upcoming-maintenance/?recursive=true";
        let answer = get(emulator.addr(), path);
        answer.json()["maintenanceStatus"]
            .as_str()
            .map(str::to_owned)
    };
    emulator.play(Maintenance::migrate()).unwrap();
    let mut second = Maintenance::terminate();
    second.notice = 300 * SECOND;
    emulator.schedule(after(second, 30 * SECOND)).unwrap();
    assert_eq!(seen(), MIGRATE);
    emulator.advance(30 * SECOND);
    assert_eq!(seen(), TERMINATE);
    // The first is under way, and was announced before: its status is the newer one.
    emulator.advance(30 * SECOND);
    assert_eq!(
        (seen(), status().as_deref()),
        (TERMINATE.into(), Some("ONGOING"))
    );
    // It is over, and the second still to come.
    emulator.advance(60 * SECOND);
    assert_eq!(
        (seen(), status().as_deref()),
        (TERMINATE.into(), Some("PENDING"))
    );
    // Terminated, and started again: nothing is left of either.
    emulator.advance(1000 * SECOND);
    assert_eq!(seen(), "NONE");
    assert_eq!(text(&emulator, "instance/upcoming-maintenance"), "NONE");
    let over = |event: &gce_auth_emulator::EventStatus| event.state == EventState::Over;
    assert!(emulator.machine_events().iter().all(over));
}

#[test]
fn two_preemptions_are_cancelled_in_any_order() {
    for order in [[0, 1], [1, 0]] {
        let emulator = Emulator::builder().start().unwrap();
        let seen = || text(&emulator, "instance/preempted");
        let ids = [(); 2].map(|()| emulator.play(MachineEvent::preempt()).unwrap());
        emulator.cancel_event(ids[order[0]]);
        assert_eq!(seen(), "TRUE");
        emulator.cancel_event(ids[order[1]]);
        assert_eq!(seen(), "FALSE");
    }
}

#[test]
fn an_event_of_some_and_one_of_all_go_on_beside_each_other() {
    let emulator = Emulator::builder().start().unwrap();
    let path = "instance/preempted";
    let some = EventSchedule::new(MachineEvent::preempt()).client("node-a");
    let some = emulator.schedule(some).unwrap();
    emulator
        .schedule(after(MachineEvent::preempt(), 10 * SECOND))
        .unwrap();
    assert_eq!(get_as(&emulator, "node-a", path).text(), "TRUE");
    assert_eq!(get_as(&emulator, "node-b", path).text(), "FALSE");
    emulator.advance(10 * SECOND);
    assert!(emulator.cancel_event(some));
    for node in ["node-a", "node-b"] {
        assert_eq!(get_as(&emulator, node, path).text(), "TRUE", "{node}");
    }
}

#[test]
fn the_past_is_now_and_a_jump_plays_what_it_passes_in_order() {
    let (emulator, told) = noting();
    let past = EventSchedule::new(MachineEvent::attach_disk()).at(SystemTime::UNIX_EPOCH);
    emulator.schedule(past).unwrap();
    assert_eq!(text(&emulator, "instance/disks/1/index"), "1");
    told.lock().unwrap().clear();
    // Each jump passes what is to come, and the next round counts from its end.
    let migration = MachineEvent::LiveMigration {
        notice: 10 * SECOND,
        jump: 100 * SECOND,
    };
    emulator
        .schedule(after(migration, 5 * SECOND).repeat(2))
        .unwrap();
    let set = MachineEvent::set_attributes([("passed", "yes")]);
    emulator.schedule(after(set, 50 * SECOND)).unwrap();
    emulator.advance(15 * SECOND);
    assert_eq!(text(&emulator, "instance/attributes/passed"), "yes");
    emulator.advance(1000 * SECOND);
    let told = told.lock().unwrap();
    let what: Vec<&str> = told.iter().map(|line| &line[6..7]).collect();
    assert_eq!(what, ["2", "2", "3", "2", "2", "2", "2"], "{told:#?}");
    let events = emulator.machine_events();
    assert_eq!((events[1].state, events[1].round), (EventState::Over, 2));
}

#[test]
fn events_keep_to_a_clock_that_stands_still_goes_back_or_is_set() {
    let emulator = Emulator::builder().start().unwrap();
    let seen = || text(&emulator, "instance/preempted");
    emulator.freeze_clock(true);
    let begin = SystemTime::UNIX_EPOCH + 2_000_000_000 * SECOND;
    emulator.set_time(begin);
    let id = emulator
        .schedule(after(MachineEvent::preempt(), 60 * SECOND))
        .unwrap();
    let next = || emulator.machine_events()[0].next_at.unwrap();
    assert_eq!(next(), begin + 60 * SECOND);
    // The time of an event is one of the clock's: back means later.
    emulator.set_time(begin - 3600 * SECOND);
    emulator.advance(3659 * SECOND);
    assert_eq!((seen().as_str(), next()), ("FALSE", begin + 60 * SECOND));
    emulator.advance(SECOND);
    assert_eq!((seen().as_str(), next()), ("TRUE", begin + 90 * SECOND));
    // What was played stays so when the clock goes back behind it.
    emulator.set_time(begin);
    assert_eq!(seen(), "TRUE");
    emulator.set_time(begin + 90 * SECOND);
    assert!(emulator.machine_events()[0].is_down);
    assert!(emulator.cancel_event(id));
    emulator.freeze_clock(false);
    assert_eq!(seen(), "FALSE");
}

#[test]
fn clients_are_those_of_an_ipv6_network_too() {
    let address = SocketAddr::from((Ipv6Addr::LOCALHOST, 0));
    // Where there is no IPv6, there are no such clients.
    let Ok(emulator) = Emulator::builder().address(address).start() else {
        return;
    };
    let path = "instance/service-accounts/default/email";
    for (pattern, status) in [
        ("::1", 404),
        ("::/64", 404),
        ("0:0:0:0:0:0:0:1", 404),
        ("fd00::/8", 200),
        ("127.0.0.0/8", 200),
    ] {
        let hit = EventSchedule::new(MachineEvent::detach_account()).client(pattern);
        let id = emulator.schedule(hit).unwrap();
        assert_eq!(get(emulator.addr(), path).status, status, "{pattern}");
        assert!(emulator.cancel_event(id));
        assert_eq!(get(emulator.addr(), path).status, 200);
    }
}

#[test]
fn a_client_is_a_part_of_a_name_and_no_pattern() {
    let emulator = Emulator::builder().start().unwrap();
    let path = "instance/preempted";
    for (client, agent, hit) in [
        (".*", "node-a", false),
        (".*", "node.*", true),
        ("node-[ab]", "node-a", false),
        ("NODE-[AB]", "x node-[ab] y", true),
        ("a(b", "a(b/1.0", true),
        ("^node", "node", false),
        ("a\\d", "a1", false),
        ("é", "É/1", true),
    ] {
        let schedule = EventSchedule::new(MachineEvent::preempt()).client(client);
        let id = emulator.schedule(schedule).unwrap();
        let seen = get_as(&emulator, agent, path);
        assert_eq!(seen.text() == "TRUE", hit, "{client} {agent}");
        assert!(emulator.cancel_event(id));
    }
}

#[test]
fn an_event_is_played_where_its_socket_is_and_nowhere_else() {
    let (one, other) = (
        Emulator::builder().start().unwrap(),
        Emulator::builder().start().unwrap(),
    );
    let taken = Emulator::builder().address(one.addr()).start();
    assert!(taken.unwrap_err().is_address());
    one.play(MachineEvent::preempt()).unwrap();
    assert_eq!(text(&one, "instance/preempted"), "TRUE");
    assert_eq!(text(&other, "instance/preempted"), "FALSE");
}
