//! The emulator's clock: the machine's, moved as far as a test wants. The only file that reads one.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use gce_auth_server::protocol::date::Date;
use tokio::sync::Notify;

/// Where a clock that stands still does not stand.
const RUNS: i64 = i64::MIN;

/// Milliseconds since 1970 that may be moved, and may stand still.
#[derive(Debug)]
pub(crate) struct Clock {
    moved: AtomicI64,
    /// Where it stands; [`RUNS`] while it runs.
    stands: AtomicI64,
    turned: Notify,
    /// The last second that a date was asked for, and this date.
    dated: Mutex<(i64, Bytes)>,
}

impl Default for Clock {
    fn default() -> Self {
        Self {
            moved: AtomicI64::new(0),
            stands: AtomicI64::new(RUNS),
            turned: Notify::new(),
            dated: Mutex::default(),
        }
    }
}

impl Clock {
    pub(crate) fn now(&self) -> Instant {
        match self.stands.load(Ordering::Relaxed) {
            RUNS => Instant(self.running()),
            stands => Instant(stands),
        }
    }

    /// What it shows while it runs.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the clock that all others ask"
    )]
    fn running(&self) -> i64 {
        let machine = Instant::from_system(SystemTime::now()).0;
        machine.saturating_add(self.moved.load(Ordering::Relaxed))
    }

    /// The time of the machine, whatever is done to this clock.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the clock that all others ask"
    )]
    pub(crate) fn machine_time() -> SystemTime {
        SystemTime::now()
    }

    /// The time as a `Date` header has it.
    pub(crate) fn http_date(&self) -> Bytes {
        let now = self.now();
        let mut dated = self.dated.lock().unwrap_or_else(PoisonError::into_inner);
        if dated.0 != now.seconds() || dated.1.is_empty() {
            *dated = (now.seconds(), now.http_date().into());
        }
        dated.1.clone()
    }

    /// A point from which [`Lap::elapsed`] measures, whatever is done to the clock.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the clock that all others ask"
    )]
    pub(crate) fn lap() -> Lap {
        Lap(std::time::Instant::now())
    }

    /// Returns when it is this late here, by itself or because the clock was moved.
    pub(crate) async fn sleep_until(&self, then: Instant) {
        loop {
            let turned = self.turned.notified();
            tokio::pin!(turned);
            turned.as_mut().enable();
            let left = self.now().until(then);
            if left.is_zero() {
                return;
            }
            let _ = tokio::time::timeout(left, turned).await;
        }
    }

    pub(crate) fn reset(&self) {
        self.moved.store(0, Ordering::Relaxed);
        self.stands.store(RUNS, Ordering::Relaxed);
        self.turned.notify_waiters();
    }

    pub(crate) fn advance(&self, by: Duration) {
        self.set(self.now().plus(by));
    }

    /// Moves it, ahead or back. If it stands it goes on standing, there.
    pub(crate) fn set(&self, to: Instant) {
        if self.is_frozen() {
            self.stands.store(to.0.max(RUNS + 1), Ordering::Relaxed);
        }
        let now = self.running();
        let _ = self
            .moved
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |moved| {
                Some(moved.saturating_add(to.0.saturating_sub(now)))
            });
        self.turned.notify_waiters();
    }

    pub(crate) fn is_frozen(&self) -> bool {
        self.stands.load(Ordering::Relaxed) != RUNS
    }

    /// Lets it stand, or run on from where it stood.
    pub(crate) fn freeze(&self, frozen: bool) {
        if frozen != self.is_frozen() {
            let now = self.now();
            let stands = if frozen { now.0.max(RUNS + 1) } else { RUNS };
            self.stands.store(stands, Ordering::Relaxed);
            self.set(now);
        }
    }
}

/// The beginning of a measurement.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lap(std::time::Instant);

impl Lap {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the clock that all others ask"
    )]
    pub(crate) fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}

/// A point in time, in milliseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Instant(i64);

impl Instant {
    pub(crate) fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1000))
    }

    pub(crate) fn from_system(time: SystemTime) -> Self {
        Self(match time.duration_since(UNIX_EPOCH) {
            Ok(since) => i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
            Err(before) => i64::try_from(before.duration().as_millis()).map_or(i64::MIN, |ms| -ms),
        })
    }

    pub(crate) fn to_system(self) -> SystemTime {
        let distance = Duration::from_millis(self.0.unsigned_abs());
        let time = if self.0 < 0 {
            UNIX_EPOCH.checked_sub(distance)
        } else {
            UNIX_EPOCH.checked_add(distance)
        };
        time.unwrap_or(UNIX_EPOCH)
    }

    /// Milliseconds since 1970.
    pub(crate) fn millis(self) -> i64 {
        self.0
    }

    /// Reads a time as RFC 3339 writes it. `None` if it is none.
    pub(crate) fn parse_rfc3339(text: &str) -> Option<Self> {
        Date::parse_rfc3339(text).map(Self)
    }

    /// Whole seconds since 1970.
    pub(crate) fn seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    pub(crate) fn plus(self, by: Duration) -> Self {
        Self(
            self.0
                .saturating_add(i64::try_from(by.as_millis()).unwrap_or(i64::MAX)),
        )
    }

    pub(crate) fn minus(self, by: Duration) -> Self {
        Self(
            self.0
                .saturating_sub(i64::try_from(by.as_millis()).unwrap_or(i64::MAX)),
        )
    }

    /// How long from now until then; zero when it is past.
    pub(crate) fn until(self, then: Self) -> Duration {
        Duration::from_millis(u64::try_from(then.0.saturating_sub(self.0)).unwrap_or(0))
    }

    /// `Fri, 22 Nov 2019 20:28:02 GMT`, as a `Date` header has it.
    pub(crate) fn http_date(self) -> String {
        Date::from_seconds(self.seconds()).http()
    }

    /// Year, month and day.
    pub(crate) fn day(self) -> (i32, u8, u8) {
        let date = Date::from_seconds(self.seconds());
        (
            i32::try_from(date.year).unwrap_or(9999),
            date.month,
            date.day,
        )
    }

    /// `2019-11-22T20:28:02Z`, as Google's APIs write times.
    pub(crate) fn rfc3339(self) -> String {
        format!("{}Z", Date::from_seconds(self.seconds()).rfc3339())
    }

    /// `2019-11-22T20:28:02.123Z`.
    pub(crate) fn rfc3339_millis(self) -> String {
        let seconds = self.rfc3339();
        format!(
            "{}.{:03}Z",
            seconds.trim_end_matches('Z'),
            self.0.rem_euclid(1000)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_written_as_the_server_writes_them() {
        let then = Instant::from_seconds(1_574_454_482);
        assert_eq!(then.http_date(), "Fri, 22 Nov 2019 20:28:02 GMT");
        assert_eq!(then.rfc3339(), "2019-11-22T20:28:02Z");
        assert_eq!(then.day(), (2019, 11, 22));
    }

    #[test]
    fn times_are_read_as_they_are_written() {
        for second in (0..4_000_000_000).step_by(7_654_321) {
            let time = Instant::from_seconds(second);
            assert_eq!(Instant::parse_rfc3339(&time.rfc3339()), Some(time));
            assert_eq!(Instant::from_system(time.to_system()), time);
        }
        assert_eq!(Instant::parse_rfc3339("2019-11-22"), None);
    }

    #[test]
    fn a_clock_goes_back_and_stands_still() {
        let clock = Clock::default();
        let then = Instant::from_seconds(1_000_000);
        clock.set(then);
        assert_eq!(clock.now().seconds(), 1_000_000);
        clock.freeze(true);
        let stood = clock.now();
        clock.advance(Duration::from_secs(5));
        assert_eq!(clock.now(), stood.plus(Duration::from_secs(5)));
        clock.set(then);
        assert_eq!(clock.now(), then);
        clock.freeze(false);
        assert!(!clock.is_frozen());
        assert!(then.until(clock.now()) < Duration::from_secs(60) && clock.now() >= then);
        clock.freeze(true);
        clock.reset();
        assert!(clock.now().seconds() > 1_700_000_000 && !clock.is_frozen());
    }

    #[test]
    fn a_moved_clock_stays_moved() {
        let clock = Clock::default();
        let before = clock.now();
        clock.advance(Duration::from_secs(1000));
        assert!(before.until(clock.now()) >= Duration::from_secs(1000));
        assert_eq!(clock.http_date().len(), 29);
        let date = clock.http_date();
        clock.advance(Duration::from_secs(3600));
        assert_ne!(clock.http_date(), date);
        clock.advance(Duration::MAX);
        assert!(clock.now() > before);
    }
}
