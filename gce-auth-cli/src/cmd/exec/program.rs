//! The environment of the program, and why it cannot be run.

use std::{
    ffi::OsStr,
    io::{self, ErrorKind},
    process::{Command, ExitCode},
};

use crate::{
    env,
    output::Output,
    sdk_environment::{CREDENTIALS, proxy_exceptions},
};

/// The variables that lead requests over plain HTTP to a proxy.
const PROXIES: [&str; 4] = ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"];
/// Those of requests over TLS.
#[cfg(target_os = "linux")]
const TLS_PROXIES: [&str; 2] = ["HTTPS_PROXY", "https_proxy"];

/// Removes what keeps SDKs from the metadata server.
pub(super) fn clear(command: &mut Command) {
    command
        .env_remove("NO_GCE_CHECK")
        .env_remove("GCE_METADATA_MTLS_MODE");
    for (name, ..) in CREDENTIALS {
        command.env_remove(name);
    }
}

/// Keeps requests to these hosts away from proxies, if there are any.
pub(super) fn keep_from_proxies(command: &mut Command, hosts: &str) {
    if PROXIES.iter().all(|name| env::var(name).is_none()) {
        return;
    }
    let all = match proxy_exceptions(env::var) {
        // All hosts, which `*` means only on its own.
        Some(list) if list == "*" => list,
        Some(list) => format!("{list},{hosts}"),
        None => hosts.to_owned(),
    };
    // The same list in both, as clients read only one of them.
    command.env("NO_PROXY", &all).env("no_proxy", all);
}

/// Removes proxies, which the program could not reach.
#[cfg(target_os = "linux")]
pub(super) fn remove_proxies(command: &mut Command) {
    for name in PROXIES.into_iter().chain(TLS_PROXIES) {
        command.env_remove(name);
    }
}

/// Says why the program cannot be run, and returns the exit code for it.
pub(super) fn cannot_run(program: &OsStr, error: &io::Error, out: &Output) -> ExitCode {
    let program = program.to_string_lossy();
    let found = error.kind() != ErrorKind::NotFound;
    let code = if found { 126 } else { 127 };
    out.fail_as(code, &format!("cannot run {program}: {error}"))
}
