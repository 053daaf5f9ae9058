//! Clients that know only the metadata server's own address, under `gce-auth exec --isolated`.

use std::{ffi::OsString, process::Command, time::Duration};

use gce_auth_conformance::interop::{self, Build, Client, Transcript, Unavailable, machine};

/// How long a client may take, on a machine that has other work.
const LIMIT: Duration = Duration::from_secs(120);

/// The exit code where a system allows no namespaces.
const NO_NAMESPACES: i32 = 125;

/// Returns what a client reports of the machine of [`machine`]; nothing where its toolchain is
/// missing, or namespaces are forbidden.
pub(crate) fn run(client: Result<Client, Unavailable>) -> Option<Transcript> {
    let client = interop::ready_or_skip(client)?;
    let command =
        interop::gce_auth(super::target(), Build::Debug).unwrap_or_else(|why| panic!("{why}"));
    let mut probe = Command::new(&command);
    let probed = probe.args(["exec", "--isolated", "--", "true"]).output();
    let probed = probed.unwrap_or_else(|why| panic!("{why}"));
    if probed.status.code() == Some(NO_NAMESPACES) {
        let why = String::from_utf8_lossy(&probed.stderr);
        interop::skip(&why);
        return None;
    }
    let arguments = [
        "exec",
        "--isolated",
        "--cloud",
        &format!("--project={}", machine::PROJECT),
        &format!("--account={}", machine::EMAIL),
        &format!("--scopes={}", machine::SCOPES.join(",")),
        &format!("--token-lifetime={}", machine::TOKEN_LIFETIME),
        "--",
    ]
    .map(OsString::from);
    let client = client.under(&command, arguments.to_vec());
    let beside = [
        ("AUDIENCE", machine::AUDIENCE),
        ("TOKENINFO_URL", "http://169.254.169.254/tokeninfo"),
    ];
    let seen = client.run(beside, LIMIT);
    Some(seen.unwrap_or_else(|failure| panic!("{failure}")))
}
