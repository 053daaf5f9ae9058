//! The time that an operation may take.

use std::time::Duration;

use crate::values::token::Now;

/// The time that an operation may take, counted from its start: in a queue,
/// between attempts, and while an answer is awaited. Several requests of one
/// operation share it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Budget {
    /// When it is spent, by the boot clock.
    ends: Duration,
    /// The number of waits between attempts before this operation.
    waits: u32,
}

impl Budget {
    /// Returns a budget of `total` for an operation that starts at `now`.
    pub(crate) fn new(now: Now, total: Duration) -> Self {
        Self {
            ends: now.boot.saturating_add(total),
            waits: 0,
        }
    }

    /// Returns the same budget for an operation that goes on with the waits of
    /// one that failed, after `waits` of them.
    pub(crate) fn going_on(mut self, waits: u32) -> Self {
        self.waits = waits;
        self
    }

    pub(crate) fn waits(&self) -> u32 {
        self.waits
    }

    /// Returns what is left at `now`.
    pub(crate) fn left(&self, now: Now) -> Duration {
        match self.ends {
            Duration::MAX => Duration::MAX,
            ends => ends.saturating_sub(now.boot),
        }
    }

    /// Leaves out `pause`, in which the process was suspended or had no
    /// processor: a pause is not a failure.
    pub(crate) fn leave_out(&mut self, pause: Duration) {
        self.ends = self.ends.saturating_add(pause);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Now {
        Now::new(Duration::ZERO, Duration::from_secs(seconds))
    }

    #[test]
    fn every_moment_counts_but_a_pause() {
        let mut budget = Budget::new(at(100), Duration::from_secs(10));
        assert_eq!(budget.left(at(104)), Duration::from_secs(6));
        assert_eq!(budget.left(at(111)), Duration::ZERO);
        budget.leave_out(Duration::from_secs(5));
        assert_eq!(budget.left(at(111)), Duration::from_secs(4));
        let endless = Budget::new(at(100), Duration::MAX);
        assert_eq!(endless.left(at(1_000_000)), Duration::MAX);
    }
}
