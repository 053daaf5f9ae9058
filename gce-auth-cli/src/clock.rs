//! The only file that reads clocks: how long things took, and what is left of a lifetime.

use std::time::{Duration, Instant, SystemTime};

use gce_auth::time::{Clock as _, SystemClock};

use crate::text;

/// Measures the time since its start.
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

    pub(crate) fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

/// Returns the wall clock's time.
pub(crate) fn now() -> SystemTime {
    SystemClock::new().now().system_time()
}

/// Returns what is left until `time`.
pub(crate) fn left(time: SystemTime) -> Duration {
    time.duration_since(now()).unwrap_or_default()
}

/// Describes an expiry: `valid for 59 min 58 s`.
pub(crate) fn validity(expires_at: Option<SystemTime>) -> String {
    expires_at.map_or_else(
        || "with unknown expiry".to_owned(),
        |at| format!("valid for {}", text::lasting(left(at))),
    )
}
