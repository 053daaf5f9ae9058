//! The emulator as every client meets it.

#![allow(dead_code, reason = "each test file uses a part of it")]

#[cfg(unix)]
pub(crate) mod clients;
#[cfg(unix)]
pub(crate) mod command;
pub(crate) mod follow;
#[cfg(target_os = "linux")]
pub(crate) mod isolated;

use std::{ffi::OsString, path::Path, time::Duration};

use gce_auth_conformance::interop::{self, Build, Client, Transcript, machine};
use gce_auth_emulator::{Account, Emulator, EmulatorBuilder};

/// How long a client may take, on a machine that has other work.
const LIMIT: Duration = Duration::from_secs(120);

/// The machine of [`machine`].
pub(crate) fn emulator() -> EmulatorBuilder {
    Emulator::builder()
        .project_id(machine::PROJECT)
        .numeric_project_id(machine::NUMBER)
        .account(Account::new(machine::EMAIL).scopes(machine::SCOPES))
        .token_lifetime(Duration::from_secs(machine::TOKEN_LIFETIME))
        .set("instance/id", machine::INSTANCE.to_string())
        .set("instance/name", machine::NAME)
        .set("instance/zone", machine::zone_path())
        .set("instance/attributes/color", machine::COLOR)
        .set("project/attributes/team", machine::TEAM)
        .set("universe/universe-domain", machine::UNIVERSE)
}

/// Runs a client against an emulator to its end.
pub(crate) fn run(client: &Client, emulator: &Emulator, more: &[(&str, String)]) -> Transcript {
    let url = emulator.url();
    let beside = [
        ("AUDIENCE", machine::AUDIENCE.to_owned()),
        ("TOKENINFO_URL", format!("{url}/tokeninfo")),
        ("CERTS_URL", format!("{url}/oauth2/v1/certs")),
        ("JWKS_URL", format!("{url}/oauth2/v3/certs")),
    ];
    let beside = beside
        .iter()
        .chain(more)
        .map(|(name, value)| ((*name).to_owned(), value.clone()));
    client
        .run(emulator.env().into_iter().chain(beside), LIMIT)
        .unwrap_or_else(|failure| panic!("{failure}\n{:#?}", emulator.requests()))
}

/// The client as it is, and under `gce-auth exec --agent`, where it finds what it finds without.
pub(crate) fn without_and_with_agent(client: Client) -> Vec<Client> {
    let mut both = vec![client];
    if cfg!(target_os = "linux") {
        let command =
            interop::gce_auth(target(), Build::Debug).unwrap_or_else(|why| panic!("{why}"));
        let arguments = ["exec", "--agent", "--"].map(OsString::from);
        both.push(both[0].clone().under(command, arguments.to_vec()));
    }
    both
}

/// Where the build's own files lie, and so what the clients are made of.
pub(crate) fn target() -> &'static Path {
    let inside = Path::new(env!("CARGO_TARGET_TMPDIR"));
    inside.parent().unwrap_or(inside)
}
