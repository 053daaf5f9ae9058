//! The only file that reads a clock, and the only one that sleeps.

use std::{fmt, sync::Arc, time::Duration};

pub use crate::values::token::Now;
use crate::{io::random, values::token::Moment};

/// The time, and the wait for a later time.
///
/// The library asks nothing else about time, so that tests can own it: see
/// `HandClock` (feature `test-util`).
pub trait Clock: Send + Sync + fmt::Debug {
    /// Returns this moment. Called on the hot path: must be cheap and never block.
    fn now(&self) -> Now;

    /// Returns this moment as exactly as it is known: for what happens seldom, and is
    /// compared with the clocks of others. By default [`now`](Self::now).
    fn exact(&self) -> Now {
        self.now()
    }

    /// Blocks the calling thread for `duration`, between two attempts.
    fn sleep(&self, duration: Duration);

    /// Returns where in its range the next wait or moment with jitter falls, from 0 to
    /// 1. By default a random number.
    fn jitter(&self) -> f64 {
        random::sample()
    }
}

/// The machine's clocks.
///
/// On Linux both readings of [`now`](Clock::now) are the coarse ones, at most a
/// tick (1 to 10 ms) late, and boot time counts suspended time. Elsewhere they are the nearest
/// that the standard library has.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct SystemClock;

impl SystemClock {
    /// Returns the machine's clocks.
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

/// A clock for the hot path, which asks the machine's own without a call
/// through a table.
#[derive(Clone, Debug)]
pub(crate) enum AnyClock {
    System,
    Other(Arc<dyn Clock>),
}

impl AnyClock {
    pub(crate) fn of(clock: Arc<dyn Clock>) -> Self {
        if Arc::ptr_eq(&clock, &shared()) {
            Self::System
        } else {
            Self::Other(clock)
        }
    }

    pub(crate) fn now(&self) -> Now {
        self.moment().into()
    }

    /// Whether this is that clock.
    pub(crate) fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::System, Self::System) => true,
            (Self::Other(one), Self::Other(other)) => Arc::ptr_eq(one, other),
            _ => false,
        }
    }

    /// [`now`](Self::now), for the hot path.
    #[inline]
    pub(crate) fn moment(&self) -> Moment {
        match self {
            Self::System => system::moment(),
            Self::Other(clock) => clock.now().into(),
        }
    }

    pub(crate) fn jitter(&self) -> f64 {
        match self {
            Self::System => SystemClock::new().jitter(),
            Self::Other(clock) => clock.jitter(),
        }
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Now {
        system::moment().into()
    }

    fn exact(&self) -> Now {
        system::exact()
    }

    #[expect(clippy::disallowed_methods, reason = "this is the file that sleeps")]
    fn sleep(&self, duration: Duration) {
        std::thread::sleep(duration);
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
mod system {
    use std::{
        sync::atomic::{
            AtomicU64,
            Ordering::{Acquire, Relaxed, Release},
        },
        time::Duration,
    };

    use rustix::time::{ClockId, clock_gettime};

    use crate::values::token::{Moment, Now};

    /// How long a machine runs before its suspended time is measured again.
    const REMEASURE: u64 = 50_000_000;

    // All of these are nanoseconds.
    /// The tick that the wall clock was read in, as monotonic time. All coarse
    /// clocks move together, once a tick, so within one it is enough to read
    /// one of them.
    static TICK: AtomicU64 = AtomicU64::new(0);
    /// How far the wall clock is ahead of monotonic time; wraps where it is
    /// behind.
    static WALL: AtomicU64 = AtomicU64::new(0);
    /// How far boot time is ahead of it, which is the time suspended; and the
    /// tick in which that was measured.
    static BOOT: AtomicU64 = AtomicU64::new(0);
    static MEASURED: AtomicU64 = AtomicU64::new(0);

    #[inline]
    pub(super) fn moment() -> Moment {
        let running = read(ClockId::MonotonicCoarse);
        if running != TICK.load(Acquire) {
            new_tick(running);
        }
        Moment {
            wall: running.wrapping_add(WALL.load(Relaxed)),
            boot: running.wrapping_add(BOOT.load(Relaxed)),
        }
    }

    pub(super) fn exact() -> Now {
        let wall = read(ClockId::Realtime);
        Now::new(Duration::from_nanos(wall), Now::from(moment()).boot)
    }

    #[cold]
    #[inline(never)]
    fn new_tick(running: u64) {
        if running.saturating_sub(MEASURED.load(Relaxed)) >= REMEASURE {
            let monotonic = read(ClockId::Monotonic);
            let boot = read(ClockId::Boottime);
            BOOT.fetch_max(boot.saturating_sub(monotonic), Relaxed);
            MEASURED.store(running, Relaxed);
        }
        let wall = read(ClockId::RealtimeCoarse);
        WALL.store(wall.wrapping_sub(running), Relaxed);
        TICK.store(running, Release);
    }

    /// A clock before its beginning stands at it; one after the year 2554
    /// would begin anew.
    #[inline]
    fn read(clock: ClockId) -> u64 {
        let time = clock_gettime(clock);
        if time.tv_sec < 0 {
            return 0;
        }
        let (seconds, nanos) = (time.tv_sec as u64, time.tv_nsec as u64);
        seconds.wrapping_mul(1_000_000_000).wrapping_add(nanos)
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
mod system {
    use std::{
        sync::OnceLock,
        time::{Duration, Instant, SystemTime},
    };

    use crate::values::token::{Moment, Now};

    pub(super) fn exact() -> Now {
        now()
    }

    pub(super) fn moment() -> Moment {
        now().into()
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "this is the file that reads clocks"
    )]
    fn now() -> Now {
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

    #[test]
    fn jitter_falls_everywhere_from_0_to_1() {
        for clock in [AnyClock::System, AnyClock::Other(Arc::new(SystemClock))] {
            let samples: Vec<f64> = (0..200).map(|_| clock.jitter()).collect();
            assert!(samples.iter().all(|it| (0.0..=1.0).contains(it)));
            assert!(samples.iter().any(|it| *it < 0.4) && samples.iter().any(|it| *it > 0.6));
        }
    }

    #[test]
    fn a_clock_is_itself_and_no_other() {
        let own: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let (one, other) = (
            AnyClock::of(own.clone()),
            AnyClock::of(Arc::new(SystemClock)),
        );
        assert!(AnyClock::of(shared()).is(&AnyClock::System));
        assert!(one.is(&AnyClock::of(own)));
        assert!(!one.is(&other) && !one.is(&AnyClock::System));
    }

    #[test]
    #[expect(
        clippy::disallowed_methods,
        reason = "the judge of the clock is the system"
    )]
    fn the_exact_reading_is_never_late() {
        let clock = SystemClock::new();
        for _ in 0..1000 {
            let wall = std::time::SystemTime::now()
                .duration_since(std::time::SystemTime::UNIX_EPOCH)
                .unwrap();
            let exact = clock.exact().wall;
            assert!(exact >= wall, "{exact:?} after {wall:?}");
        }
    }
}
