//! google-auth-library-oauth2-http for Java against the emulator.

mod foreign;

use gce_auth_conformance::interop::{self, Judge};
use serde_json::json;

#[test]
fn google_auth_library_finds_and_verifies_what_the_emulator_was_told() {
    let Some(client) = interop::ready_or_skip(interop::java(foreign::target())) else {
        return;
    };
    let emulator = foreign::emulator().start().unwrap();
    let seen = foreign::run(&client, &emulator, &[]);

    let licenses = &seen.step("licensed")["claims"]["google"]["compute_engine"]["license_id"];
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
            licenses,
            json!(["2147286739765738111"]),
        );
    // What the former has no method for is read where it says that the server is.
    judge
        .library("com.google.http-client:google-http-client")
        .machine();
    judge.verdict();
}
