//! How many connections may wait to be accepted.

/// The system may allow fewer.
pub(super) const BACKLOG: i32 = 4096;
