//! The only file that reads environment variables.

use std::{ffi::OsString, io, path::PathBuf};

/// Returns the arguments, the name of the program first.
pub(crate) fn arguments() -> Vec<OsString> {
    std::env::args_os().collect()
}

/// Returns the path of this program.
pub(crate) fn program() -> io::Result<PathBuf> {
    std::env::current_exe()
}

/// Returns a variable that is set, whatever its bytes are.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the file that reads the environment"
)]
pub(crate) fn var(name: &str) -> Option<String> {
    std::env::var_os(name).map(|value| value.to_string_lossy().into_owned())
}

/// Returns whether the user wants colours (<https://no-color.org>).
pub(crate) fn wants_colour() -> bool {
    let is_set = |name| var(name).is_some_and(|value| !value.is_empty());
    !is_set("NO_COLOR") && var("TERM").is_none_or(|term| term != "dumb")
}
