//! Clients of five languages and gcloud under `gce-auth exec --agent`, unchanged: they find the machine
//! behind the agent, and what it gives verifies.
#![cfg(target_os = "linux")]

mod foreign;

use std::io::{self, Write as _};

use foreign::command::{Between, run};
use gce_auth_conformance::interop::{self, Judge, machine};

#[test]
fn google_auth_for_python_finds_the_machine_through_an_agent() {
    let Some(seen) = run(
        Between::Agent,
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
fn google_auth_library_for_node_finds_the_machine_through_an_agent() {
    let Some(seen) = run(
        Between::Agent,
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
fn a_go_program_finds_the_machine_through_an_agent() {
    let Some(seen) = run(Between::Agent, interop::go(foreign::target())) else {
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
fn gcloud_finds_the_machine_through_an_agent() {
    let Some(seen) = run(
        Between::Agent,
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

#[test]
fn google_auth_library_for_java_finds_the_machine_through_an_agent() {
    let Some(seen) = run(Between::Agent, interop::java(foreign::target())) else {
        return;
    };
    let mut judge = Judge::new("Java", &seen);
    judge
        .library("com.google.auth:google-auth-library-oauth2-http")
        .detection()
        .project()
        .email()
        .universe()
        .access_token()
        .finds("headers", &seen.step("headers")["carry_the_token"], true)
        .id_token()
        .claims("ID token by X.509 keys", "id_token_by_certs")
        .claims("ID token with licences", "licensed")
        .library("com.google.http-client:google-http-client")
        .project_number()
        .zone()
        .instance()
        .attribute()
        .scopes();
    judge.agree();
}

#[test]
fn google_cloud_auth_for_rust_finds_the_machine_through_an_agent() {
    let Some(seen) = run(Between::Agent, interop::rust(foreign::target())) else {
        return;
    };
    let mut judge = Judge::new("Rust", &seen);
    judge
        .library("google-cloud-auth")
        .access_token()
        .universe()
        .id_token()
        .library("google-cloud-metadata")
        .detection()
        .project()
        .email()
        .library("object_store")
        .access_token()
        .email()
        .library("reqwest")
        .project_number()
        .zone()
        .instance()
        .attribute()
        .scopes();
    judge.agree();
}
