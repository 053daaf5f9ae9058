//! Clients of five languages and gcloud under `gce-auth exec --agent`, unchanged: they find the
//! machine behind the agent, and what it gives verifies.
#![cfg(target_os = "linux")]

mod foreign;

use foreign::{
    clients,
    command::{Between, at_the_real_address, run},
    follow::follow,
};
use gce_auth_conformance::interop::{self, Client, Judge, Unavailable, machine};
use gce_auth_emulator::{AdcKind, MachineEvent};
use serde_json::json;

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

/// google-auth asks for the scopes that the account is said to have, and gcp-metadata for a
/// directory to see whether there is a metadata server: both are told what the rule leaves.
#[test]
fn programs_without_settings_live_with_a_narrow_rule() {
    let python = interop::python(foreign::target(), "client.py");
    if let Some(seen) = run(Between::Narrowed, python) {
        assert_eq!(seen.step("account")["scopes"], json!(machine::SCOPES[..1]));
        let info = seen.step("access_token_info");
        assert_eq!(info["scope"], machine::SCOPES[0], "{info}");
        assert_eq!(seen.step("default")["project"], machine::PROJECT);
    }
    let node = interop::node(foreign::target(), "client.js");
    if let Some(seen) = run(Between::Narrowed, node) {
        assert_eq!(seen.step("ping")["present"], true);
        let info = seen.step("access_token_info");
        assert_eq!(info["scope"], machine::SCOPES[0], "{info}");
    }
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
        .finds(
            "ID token with licences",
            &seen.step("licensed")["claims"]["google"]["compute_engine"]["license_id"],
            json!(["2147286739765738111"]),
        )
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
        .finds(
            "quota project",
            &seen.step("quota_project")["id"],
            "other-project",
        )
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

/// The IAM Credentials API signs for the account whose token the agent gives.
#[test]
fn google_auth_signs_without_a_key_through_an_agent() {
    let Some(seen) = run(
        Between::Signing,
        interop::python(foreign::target(), "keyless.py"),
    ) else {
        return;
    };
    let identity = &seen.step("id_token")["claims"];
    assert_eq!(identity["aud"], machine::AUDIENCE);
    assert_eq!(identity["email"], machine::EMAIL);
    assert_eq!(seen.step("signature")["verified"], true);
    assert_eq!(seen.step("boundary")["header"], "0xA30");
}

/// gcp_auth and yup-oauth2 read no variable that names a server: here the agent is at the address
/// that they know.
#[test]
fn clients_that_know_one_address_alone_find_an_agent_there() {
    let client = interop::rust(foreign::target()).map(|client| client.with("real-address"));
    let Some(seen) = at_the_real_address(client) else {
        return;
    };
    let mut judge = Judge::new("Rust, at the real address", &seen);
    judge.library("gcp_auth").access_token().project();
    judge.library("yup-oauth2").access_token();
    judge.agree();
}

/// A change reaches the client through the agent's long poll.
#[test]
fn a_go_program_follows_values_through_an_agent() {
    let Some(client) = interop::ready_or_skip(interop::go(foreign::target())) else {
        return;
    };
    let under = foreign::without_and_with_agent(client).swap_remove(1);
    let watched = "instance/attributes/watched";
    let emulator = foreign::emulator().set(watched, "first").start();
    let emulator = emulator.expect("an emulator starts");
    let change = || emulator.set(watched, "second").expect("it is there");
    let seen = follow(&under, &emulator, watched, "second", &[&change]);
    assert_eq!(seen, json!(["first", "second"]));
    let preempt = || {
        emulator
            .play(MachineEvent::preempt())
            .expect("it is played");
    };
    let seen = follow(&under, &emulator, "instance/preempted", "TRUE", &[&preempt]);
    assert_eq!(seen, json!(["FALSE", "TRUE"]));
}

/// The files that libraries take themselves are an agent's source as well.
#[test]
fn google_auth_for_python_gets_the_tokens_of_each_file_through_an_agent() {
    logins(|| interop::python(foreign::target(), "default.py"));
}

#[test]
fn google_auth_library_for_node_gets_the_tokens_of_each_file_through_an_agent() {
    logins(|| interop::node(foreign::target(), "default.js"));
}

#[test]
fn a_go_program_gets_the_tokens_of_each_file_through_an_agent() {
    logins(|| interop::go(foreign::target()).map(|client| client.with("default")));
}

#[test]
fn google_auth_library_for_java_gets_the_tokens_of_each_file_through_an_agent() {
    logins(|| interop::java(foreign::target()).map(|client| client.with("default")));
}

#[test]
fn google_cloud_auth_for_rust_gets_the_tokens_of_each_file_through_an_agent() {
    logins(|| interop::rust(foreign::target()).map(|client| client.with("default")));
}

/// A program that leaves everything to its library, under an agent with each kind of file.
fn logins(client: impl Fn() -> Result<Client, Unavailable>) {
    for kind in AdcKind::ALL {
        let Some(seen) = run(Between::Login(kind), client()) else {
            return;
        };
        let token = &seen.step("access_token")["token"];
        assert!(token["length"].as_u64() > Some(20), "{kind}: {token}");
        let info = seen.step("access_token_info");
        let scope = info["scope"].as_str().unwrap_or_default();
        assert!(scope.contains("cloud-platform"), "{kind}: {info}");
        match kind {
            AdcKind::AuthorizedUser => assert_eq!(info["email"], "developer@example.com"),
            AdcKind::ServiceAccount => assert_eq!(info["email"], machine::EMAIL),
            _ => {}
        }
    }
}
