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
