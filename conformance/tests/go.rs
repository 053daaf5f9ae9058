//! cloud.google.com/go/compute/metadata and cloud.google.com/go/auth against the emulator.

mod foreign;

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use gce_auth_conformance::interop::{self, Judge, machine};
use gce_auth_emulator::Emulator;
use serde_json::json;

const WATCHED: &str = "instance/attributes/watched";

#[test]
fn compute_metadata_and_auth_find_and_verify_what_the_emulator_was_told() {
    let Some(client) = interop::ready_or_skip(interop::go(foreign::target())) else {
        return;
    };
    let emulator = foreign::emulator().set(WATCHED, "first").start().unwrap();

    // An attribute changes, and goes, while the client subscribes to it.
    let over = AtomicBool::new(false);
    let seen = thread::scope(|scope| {
        scope.spawn(|| {
            if subscribed(&emulator, 2, &over) {
                emulator.set(WATCHED, "second").unwrap();
            }
            if subscribed(&emulator, 3, &over) {
                emulator.remove(WATCHED).unwrap();
            }
        });
        let _over = AtEnd(&over);
        foreign::run(&client, &emulator, &[])
    });

    let mut judge = Judge::new("Go", &seen);
    let found = seen.step("machine");
    judge
        .library("cloud.google.com/go/compute/metadata")
        .detection()
        .project()
        .project_number()
        .zone()
        .instance()
        .finds("name", &found["name"], machine::NAME)
        .finds(
            "hostname",
            &found["hostname"],
            "emulator.us-central1-a.c.interop-project.internal",
        )
        .finds("addresses", &found["internal_ip"], "10.128.0.7")
        .finds("addresses", &found["external_ip"], "203.0.113.82")
        .finds(
            "tags",
            &found["tags"],
            json!(["http-server", "https-server"]),
        )
        .attribute();
    let attributes = seen.step("attributes");
    judge
        .finds(
            "attribute",
            &attributes["instance"],
            json!(["color", "watched"]),
        )
        .finds("project attribute", &attributes["project"], json!(["team"]))
        .finds(
            "project attribute",
            &attributes["of_project_value"],
            machine::TEAM,
        )
        .finds(
            "missing attribute",
            &seen.step("missing")["not_defined"],
            true,
        )
        .email()
        .scopes()
        .finds(
            "Subscribe",
            &seen.step("subscribe")["values"],
            json!(["first", "second"]),
        )
        .finds("Subscribe", &seen.step("subscribe")["deleted"], true)
        .finds(
            "universe",
            &seen.step("universe_by_path")["domain"],
            machine::UNIVERSE,
        );

    judge
        .library("cloud.google.com/go/auth")
        .finds("detection", &seen.step("default")["found"], true)
        .finds(
            "project",
            &seen.step("default")["project"],
            machine::PROJECT,
        )
        .universe()
        .access_token()
        .id_token();
    judge.verdict();
}

/// Waits until the client asks for the attribute for this time and hangs; false when it never will.
#[expect(
    clippy::disallowed_methods,
    reason = "the client runs in a process of its own, by the machine's clock"
)]
fn subscribed(emulator: &Emulator, time: usize, over: &AtomicBool) -> bool {
    while emulator.request_count(WATCHED) < time || emulator.waiting() == 0 {
        if over.load(Ordering::Relaxed) {
            return false;
        }
        thread::sleep(Duration::from_millis(1));
    }
    true
}

/// Says that the client is done, even when it failed.
struct AtEnd<'a>(&'a AtomicBool);

impl Drop for AtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
