//! gcp-metadata and google-auth-library for Node against the emulator.

mod foreign;

use gce_auth_conformance::interop::{self, Judge, machine};

#[test]
fn google_auth_library_finds_and_verifies_what_the_emulator_was_told() {
    let Some(client) = interop::ready_or_skip(interop::node(foreign::target(), "client.js")) else {
        return;
    };
    let emulator = foreign::emulator().start().unwrap();
    // Without a PATH, as google-auth-library asks a gcloud for the project before it asks the
    // server.
    let seen = foreign::run(&client, &emulator, &[("PATH", String::new())]);

    let mut judge = Judge::new("Node", &seen);
    judge
        .library("gcp-metadata")
        .detection()
        .finds("detection by ping", &seen.step("ping")["present"], true)
        .project()
        .project_number()
        .zone()
        .instance()
        .attribute()
        .email()
        .scopes()
        .universe()
        .access_token()
        .lists();

    let default = seen.step("default");
    judge
        .library("google-auth-library")
        .finds("detection", &default["compute"], true)
        .finds("project", &default["project"], machine::PROJECT)
        .finds("account", &default["email"], machine::EMAIL)
        .finds("universe", &default["universe"], machine::UNIVERSE)
        .access_token()
        .id_token()
        .claims("ID token client", "id_token_client");
    judge.verdict();

    // Detection by ping was no guess: the server was asked, and sent the client on. So it was for
    // each of the two copies of gcp-metadata that are in a program with google-auth-library.
    assert_eq!(emulator.request_count("instance"), 2);
    assert_eq!(emulator.request_count("instance/"), 2);
}
