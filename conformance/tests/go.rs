//! cloud.google.com/go/compute/metadata and cloud.google.com/go/auth against the emulator.

mod foreign;

use foreign::follow::run_while;
use gce_auth_conformance::interop::{self, Judge, machine};
use serde_json::json;

const WATCHED: &str = "instance/attributes/watched";

#[test]
fn compute_metadata_and_auth_find_and_verify_what_the_emulator_was_told() {
    let Some(client) = interop::ready_or_skip(interop::go(foreign::target())) else {
        return;
    };
    let emulator = foreign::emulator().set(WATCHED, "first").start().unwrap();

    // An attribute changes, and goes, while the client subscribes to it.
    let change = || emulator.set(WATCHED, "second").unwrap();
    let remove = || emulator.remove(WATCHED).unwrap();
    let seen = run_while(&client, &emulator, WATCHED, &[], &[&change, &remove]);

    let mut judge = Judge::new("Go", &seen);
    judge
        .library("cloud.google.com/go/compute/metadata")
        .detection()
        .project()
        .project_number()
        .zone()
        .instance()
        .network()
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
