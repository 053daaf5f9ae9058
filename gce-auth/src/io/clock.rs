//! The only file that reads a clock, and the only one that sleeps.

use std::{fmt, sync::Arc, time::Duration};

use crate::io::random;
pub use crate::values::token::Now;

/// The time, and the wait for a later time.
///
/// The library asks nothing else about time, so that tests can own it: see
/// `HandClock` (feature `test-util`).
pub trait Clock: Send + Sync + fmt::Debug {
    /// This moment. Called on the hot path: must be cheap and never block.
    fn now(&self) -> Now;

    /// Blocks the calling thread for `duration`, between two attempts.
    fn sleep(&self, duration: Duration);

    /// Where in its range the next wait or moment with jitter falls, from 0 to
    /// 1. By default a random number.
    fn jitter(&self) -> f64 {
        random::sample()
    }
}

/// The machine's clocks.
///
/// On Linux both readings are the coarse ones, at most a tick (1 to 10 ms)
/// late, and boot time counts suspended time. Elsewhere they are the nearest
/// that the standard library has.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct SystemClock;

impl SystemClock {
    /// The machine's clocks.
    #[must_use]
    pub const fn new() -> Self {
        Self
    }
}

/// One clock for all, so that what differs in nothing shares tokens.
pub(crate) fn shared() -> Arc<dyn Clock> {
    static SHARED: std::sync::OnceLock<Arc<SystemClock>> = std::sync::OnceLock::new();
    Arc::clone(SHARED.get_or_init(Arc::default)) as Arc<dyn Clock>
}

impl Clock for SystemClock {
    fn now(&self) -> Now {
        system::now()
    }

    #[expect(clippy::disallowed_methods, reason = "this is the file that sleeps")]
    fn sleep(&self, duration: Duration) {
        std::thread::sleep(duration);
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
mod system {
    use std::{
        sync::atomic::{AtomicU64, Ordering::Relaxed},
        time::Duration,
    };

    use rustix::time::{ClockId, clock_gettime};

    use super::Now;

    /// How long a machine runs before its suspended time is measured again.
    const REMEASURE: u64 = 50_000_000;

    /// When suspended time was measured, and what it was; nanoseconds.
    static MEASURED: AtomicU64 = AtomicU64::new(0);
    static SUSPENDED: AtomicU64 = AtomicU64::new(0);

    pub(super) fn now() -> Now {
        let wall = read(ClockId::RealtimeCoarse);
        let running = nanos(read(ClockId::MonotonicCoarse));
        if running.saturating_sub(MEASURED.load(Relaxed)) >= REMEASURE {
            measure(running);
        }
        let boot = running.saturating_add(SUSPENDED.load(Relaxed));
        Now::new(wall, Duration::from_nanos(boot))
    }

    /// Boot time is monotonic time plus the time suspended, which only grows.
    #[cold]
    fn measure(running: u64) {
        let monotonic = nanos(read(ClockId::Monotonic));
        let boot = nanos(read(ClockId::Boottime));
        SUSPENDED.fetch_max(boot.saturating_sub(monotonic), Relaxed);
        MEASURED.store(running, Relaxed);
    }

    fn read(clock: ClockId) -> Duration {
        let time = clock_gettime(clock);
        Duration::new(
            u64::try_from(time.tv_sec).unwrap_or(0),
            u32::try_from(time.tv_nsec).unwrap_or(0),
        )
    }

    fn nanos(time: Duration) -> u64 {
        u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
mod system {
    use std::{
        sync::OnceLock,
        time::{Duration, Instant, SystemTime},
    };

    use super::Now;

    #[expect(
        clippy::disallowed_methods,
        reason = "this is the file that reads clocks"
    )]
    pub(super) fn now() -> Now {
        static START: OnceLock<Instant> = OnceLock::new();
        let wall = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or(Duration::ZERO);
        // An hour ahead, so that "before the process began" exists.
        let boot = START.get_or_init(Instant::now).elapsed() + Duration::from_secs(3600);
        Now::new(wall, boot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(
        clippy::disallowed_methods,
        reason = "the judge of the clock is the system"
    )]
    fn both_readings_are_close_to_the_systems() {
        let clock = SystemClock::new();
        let now = clock.now();
        let wall = std::time::SystemTime::now()
            .duration_since(std::time::SystemTime::UNIX_EPOCH)
            .unwrap();
        assert!(wall.abs_diff(now.wall) < Duration::from_secs(2));
        clock.sleep(Duration::from_millis(20));
        let later = clock.now();
        let passed = later.boot - now.boot;
        assert!(passed >= Duration::from_millis(9), "{passed:?}");
    }
}
