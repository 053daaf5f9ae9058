//! Programs in other languages under `gce-auth exec`, unchanged: they find the machine that its arguments describe.
#![cfg(unix)]

mod foreign;

use std::io::{self, Write as _};

use foreign::command::{Between, run};
use gce_auth_conformance::interop::{self, Judge, machine};

#[test]
fn google_auth_for_python_finds_the_machine() {
    let Some(seen) = run(
        Between::Nothing,
        interop::python(foreign::target(), "client.py"),
    ) else {
        return;
    };
    let mut judge = Judge::new("Python", &seen);
    judge
        .library("google-auth")
        .detection()
        .project()
        .project_number()
        .zone()
        .instance()
        .attribute()
        .email()
        .scopes()
        .universe()
        .access_token()
        .id_token()
        .claims("fetch_id_token", "fetch_id_token")
        .finds(
            "default credentials",
            &seen.step("default")["project"],
            machine::PROJECT,
        );
    judge.agree();
}

#[test]
fn google_auth_library_for_node_finds_the_machine() {
    let Some(seen) = run(
        Between::Nothing,
        interop::node(foreign::target(), "client.js"),
    ) else {
        return;
    };
    let mut judge = Judge::new("Node", &seen);
    judge
        .library("gcp-metadata")
        .detection()
        .project()
        .project_number()
        .zone()
        .instance()
        .attribute()
        .email()
        .scopes()
        .universe()
        .library("google-auth-library")
        .access_token()
        .id_token()
        .claims("ID token client", "id_token_client");
    judge.agree();
}

#[test]
fn a_go_program_finds_the_machine() {
    let Some(seen) = run(Between::Nothing, interop::go(foreign::target())) else {
        return;
    };
    let mut judge = Judge::new("Go", &seen);
    judge
        .library("cloud.google.com/go/compute/metadata")
        .detection()
        .project()
        .project_number()
        .zone()
        .instance()
        .attribute()
        .email()
        .scopes()
        .finds("Subscribe", &seen.step("subscribe")["deleted"], true)
        .library("cloud.google.com/go/auth")
        .universe()
        .access_token()
        .id_token();
    judge.agree();
}

#[test]
fn gcloud_finds_the_machine() {
    let Some(seen) = run(
        Between::Nothing,
        interop::python(foreign::target(), "gcloud.py"),
    ) else {
        return;
    };
    if seen.step("missing").is_object() {
        // No registry of packages has it, so it is never required.
        let _ = writeln!(io::stderr(), "SKIPPED: gcloud is not installed");
        return;
    }
    let mut judge = Judge::new("gcloud", &seen);
    judge
        .library("gcloud")
        .detection()
        .email()
        .project()
        .access_token()
        .claims("ID token", "id_token");
    judge.agree();
}
