//! The only file of this crate that reads environment variables.

#![expect(
    clippy::disallowed_methods,
    reason = "this is the crate's one door to the environment"
)]

use std::{env, ffi::OsString};

/// Whether a foreign client whose toolchain is missing is a failure, not a skip.
pub(crate) fn interop_required() -> bool {
    env::var_os("GCE_AUTH_INTEROP").is_some_and(|value| value == "required")
}

/// Whether the table of clients is to be written by this run, not held against it.
pub(crate) fn write_clients() -> bool {
    env::var_os("GCE_AUTH_CLIENTS").is_some_and(|value| value == "write")
}

/// The variables in which cargo tells a test about its package, which are no business of another
/// cargo.
pub(crate) fn of_this_package() -> Vec<OsString> {
    env::vars_os()
        .map(|(name, _)| name)
        .filter(|name| {
            let name = name.to_string_lossy();
            name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")
        })
        .collect()
}

/// Where programs are looked for.
pub(crate) fn path() -> OsString {
    env::var_os("PATH").unwrap_or_default()
}

/// What any program needs to start, and nothing that could steer it.
pub(crate) fn bare() -> Vec<(OsString, OsString)> {
    ["PATH", "SYSTEMROOT", "TMPDIR", "TEMP"]
        .into_iter()
        .filter_map(|name| Some((name.into(), env::var_os(name)?)))
        .collect()
}
