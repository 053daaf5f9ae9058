//! Programs in other languages and what each has to find out about the machine, whatever stands
//! between it and them.

use std::io::{self, Write as _};

use gce_auth_conformance::interop::{self, Judge, machine};
use serde_json::json;

use super::command::{Between, run};

/// google-auth for Python: finds the machine.
pub(crate) fn python(between: Between) {
    let Some(seen) = run(between, interop::python(super::target(), "client.py")) else {
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
        .claims("ID token by JWK set", "id_token_by_jwks")
        .claims("fetch_id_token", "fetch_id_token")
        .finds(
            "default credentials",
            &seen.step("default")["project"],
            machine::PROJECT,
        );
    judge.agree();
}

/// google-auth-library for Node: finds the machine.
pub(crate) fn node(between: Between) {
    let Some(seen) = run(between, interop::node(super::target(), "client.js")) else {
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
        .access_token()
        .finds("detection by ping", &seen.step("ping")["present"], true)
        .lists()
        .library("google-auth-library")
        .finds(
            "project",
            &seen.step("default")["project"],
            machine::PROJECT,
        )
        .finds("account", &seen.step("default")["email"], machine::EMAIL)
        .access_token()
        .id_token()
        .claims("ID token client", "id_token_client");
    judge.agree();
}

/// Google's libraries for Go: finds the machine.
pub(crate) fn go(between: Between) {
    let Some(seen) = run(between, interop::go(super::target())) else {
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
        .network()
        .finds(
            "project attribute",
            &seen.step("attributes")["project"],
            json!(["team"]),
        )
        .finds(
            "missing attribute",
            &seen.step("missing")["not_defined"],
            true,
        )
        .finds(
            "universe",
            &seen.step("universe_by_path")["domain"],
            machine::UNIVERSE,
        )
        .finds("Subscribe", &seen.step("subscribe")["deleted"], true)
        .library("cloud.google.com/go/auth")
        .universe()
        .access_token()
        .id_token();
    judge.agree();
}

/// gcloud, if it is installed: finds the machine.
pub(crate) fn gcloud(between: Between) {
    let Some(seen) = run(between, interop::python(super::target(), "gcloud.py")) else {
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
