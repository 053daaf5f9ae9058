//! Clients of five languages and gcloud under `gce-auth exec --agent`, unchanged: they find the
//! machine behind the agent, and what it gives verifies.
#![cfg(target_os = "linux")]

mod foreign;

use foreign::{
    clients,
    command::{Between, run},
};
use gce_auth_conformance::interop::{self, Judge};

#[test]
fn google_auth_for_python_finds_the_machine_through_an_agent() {
    clients::python(Between::Agent);
}

#[test]
fn google_auth_library_for_node_finds_the_machine_through_an_agent() {
    clients::node(Between::Agent);
}

#[test]
fn a_go_program_finds_the_machine_through_an_agent() {
    clients::go(Between::Agent);
}

#[test]
fn gcloud_finds_the_machine_through_an_agent() {
    clients::gcloud(Between::Agent);
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
        .machine();
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
        .machine();
    judge.agree();
}
