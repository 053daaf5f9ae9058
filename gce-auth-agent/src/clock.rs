//! The clocks. The only file that reads them.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use bytes::Bytes;
use gce_auth::time::{Clock as _, Now, SystemClock};
use gce_auth_server::protocol::date::Date;

/// Returns the time, by the wall clock and by the boot clock, at most some milliseconds late.
pub(crate) fn now() -> Now {
    SystemClock::new().now()
}

/// A moment to measure from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Started(Instant);

impl Started {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the clock that all others ask"
    )]
    pub(crate) fn now() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn elapsed(self) -> Duration {
        Self::now().since(self)
    }

    #[cfg(test)]
    pub(crate) fn plus(self, time: Duration) -> Self {
        Self(self.0 + time)
    }

    pub(crate) fn since(self, earlier: Self) -> Duration {
        self.0.saturating_duration_since(earlier.0)
    }
}

/// The value of a `Date` header, written once a second.
#[derive(Debug, Default)]
pub(crate) struct HttpDate(Mutex<(u64, Bytes)>);

impl HttpDate {
    pub(crate) fn get(&self) -> Bytes {
        let wall = now().wall;
        let second = wall.as_secs();
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if last.0 != second || last.1.is_empty() {
            *last = (second, date(wall).http().into());
        }
        last.1.clone()
    }
}

/// A moment since 1970 as RFC 3339 has it, to the millisecond: `1994-11-06T08:49:37.000Z`.
pub(crate) fn rfc3339(wall: Duration) -> String {
    format!("{}.{:03}Z", date(wall).rfc3339(), wall.subsec_millis())
}

fn date(wall: Duration) -> Date {
    Date::from_seconds(i64::try_from(wall.as_secs()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_written_to_the_millisecond() {
        assert_eq!(
            rfc3339(Duration::from_millis(784_111_777_007)),
            "1994-11-06T08:49:37.007Z"
        );
    }
}
