//! The only file that reads a precise clock: how long things took.

use std::time::{Duration, Instant};

/// Runs from when it is started.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timer(Instant);

#[expect(
    clippy::disallowed_methods,
    reason = "this is the file that measures; tokens are dated by the library's clock"
)]
impl Timer {
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    /// How long ago that was.
    pub(crate) fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}
