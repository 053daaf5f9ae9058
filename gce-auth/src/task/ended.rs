//! What waits for work gets that brings no outcome of its own.

use crate::values::error::{Error, ErrorKind};

/// The error of work that took longer than it may.
pub(crate) fn late() -> Error {
    Error::new(
        ErrorKind::Timeout,
        "the request did not end within its budget",
    )
}

/// The error of work whose transport, or other code of the program's,
/// panicked.
pub(crate) fn panicked() -> Error {
    Error::new(
        ErrorKind::Unavailable,
        "the code that carries requests panicked",
    )
    .with_hint("look for the panic message of the program's own Transport")
}

/// The error of work that an executor took and dropped.
pub(crate) fn dropped() -> Error {
    Error::new(
        ErrorKind::Unavailable,
        "the executor dropped the request unsent",
    )
    .with_hint("does the program's own Executor belong to a runtime that was shut down?")
}
