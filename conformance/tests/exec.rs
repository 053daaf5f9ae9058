//! Programs in other languages under `gce-auth exec`, unchanged: they find the machine that its arguments describe.
#![cfg(unix)]

mod foreign;

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::time::Duration;

use gce_auth_conformance::interop::{self, Build, Client, Judge, Transcript, Unavailable, machine};

/// How long a client may take, on a machine that has other work.
const LIMIT: Duration = Duration::from_secs(120);

/// What stands beside the metadata server is named to the clients, which would ask Google.
const BESIDE: &str = "\
    export TOKENINFO_URL=http://$GCE_METADATA_HOST/tokeninfo \
        CERTS_URL=http://$GCE_METADATA_HOST/oauth2/v1/certs \
        JWKS_URL=http://$GCE_METADATA_HOST/oauth2/v3/certs; \
    exec \"$@\"";

/// The arguments of `gce-auth` that make the machine of [`machine`].
fn arguments() -> Vec<OsString> {
    let set = |path: &str, value: &str| format!("--set={path}={value}");
    let mut arguments = vec![
        "exec".to_owned(),
        format!("--project={}", machine::PROJECT),
        format!("--project-number={}", machine::NUMBER),
        format!("--account={}", machine::EMAIL),
        format!("--scopes={}", machine::SCOPES.join(",")),
        format!("--token-lifetime={}", machine::TOKEN_LIFETIME),
        set("instance/id", &machine::INSTANCE.to_string()),
        set("instance/name", machine::NAME),
        set("instance/zone", &machine::zone_path()),
        set("instance/attributes/color", machine::COLOR),
        set("instance/attributes/watched", "first"),
        set("project/attributes/team", machine::TEAM),
        set("universe/universe-domain", machine::UNIVERSE),
        // Go's Subscribe is told that what it follows is gone, when it asks again.
        "--fault=path = \"instance/attributes/watched\", allowed = 1, per-seconds = 3600, \
         fault = { kind = \"status\", code = 404 }"
            .to_owned(),
    ];
    arguments.extend(["--", "sh", "-c", BESIDE, "sh"].map(str::to_owned));
    arguments.into_iter().map(OsString::from).collect()
}

/// What a client reports that runs under the command; nothing where its toolchain is missing.
fn run(client: Result<Client, Unavailable>) -> Option<Transcript> {
    let client = interop::ready_or_skip(client)?;
    let command =
        interop::gce_auth(foreign::target(), Build::Debug).unwrap_or_else(|why| panic!("{why}"));
    let client = client.under(command, arguments());
    let seen = client.run([("AUDIENCE", machine::AUDIENCE)], LIMIT);
    Some(seen.unwrap_or_else(|failure| panic!("{failure}")))
}

#[test]
fn google_auth_for_python_finds_the_machine() {
    let Some(seen) = run(interop::python(foreign::target(), "client.py")) else {
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
    let Some(seen) = run(interop::node(foreign::target(), "client.js")) else {
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
    let Some(seen) = run(interop::go(foreign::target())) else {
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
    let Some(seen) = run(interop::python(foreign::target(), "gcloud.py")) else {
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
