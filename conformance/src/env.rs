//! The only file of this crate that reads environment variables.

#![expect(
    clippy::disallowed_methods,
    reason = "this is the crate's one door to the environment"
)]

use std::env;
use std::ffi::OsString;

/// Whether a foreign client whose toolchain is missing is a failure, not a skip.
pub(crate) fn interop_required() -> bool {
    env::var_os("GCE_AUTH_INTEROP").is_some_and(|value| value == "required")
}

/// Whether the table of clients is to be written by this run, not held against it.
pub(crate) fn write_clients() -> bool {
    env::var_os("GCE_AUTH_CLIENTS").is_some_and(|value| value == "write")
}

/// What any program needs to start, and nothing that could steer it.
pub(crate) fn bare() -> Vec<(OsString, OsString)> {
    ["PATH", "SYSTEMROOT", "TMPDIR", "TEMP"]
        .into_iter()
        .filter_map(|name| Some((name.into(), env::var_os(name)?)))
        .collect()
}
