//! google-cloud-auth, google-cloud-metadata and object_store against the emulator.

mod foreign;

use gce_auth_conformance::interop::{self, Judge};

#[test]
fn google_cloud_auth_and_others_find_and_verify_what_the_emulator_was_told() {
    let Some(client) = interop::ready_or_skip(interop::rust(foreign::target())) else {
        return;
    };
    let emulator = foreign::emulator().start().unwrap();
    let seen = foreign::run(&client, &emulator, &[]);

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
        .id_token();
    judge
        .library("google-cloud-metadata")
        .detection()
        .project()
        .email();
    judge.library("object_store").access_token().email();
    // What none of them reads.
    judge.library("reqwest").machine();
    judge.verdict();
}

/// Without a setting: they read no variable that names a server.
#[cfg(target_os = "linux")]
#[test]
fn gcp_auth_and_yup_oauth2_find_the_emulator_at_the_real_address() {
    let client = interop::rust(foreign::target()).map(|client| client.with("real-address"));
    let Some(seen) = foreign::isolated::run(client) else {
        return;
    };
    let mut judge = Judge::new("Rust, at the real address", &seen);
    judge.library("gcp_auth").access_token().project();
    judge.library("yup-oauth2").access_token();
    judge.verdict();
}
