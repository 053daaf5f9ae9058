//! How good a value still is. Pure: validity, now and policy in, verdict out.

use std::time::Duration;

use crate::values::token::{Moment, Now, Validity};

/// What may be done with a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Freshness {
    /// Expired, or about to: unusable.
    Invalid,
    /// Good, but it is time to fetch the next one.
    Stale,
    /// Good.
    Fresh,
}

/// When to fetch, and what to trust.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Policy {
    /// A value is stale this long before it expires. Must be less than the 240
    /// to 300 s at which the metadata server itself renews.
    pub(crate) stale_margin: Duration,
    /// The margin is shorter by up to this much, by chance, so that many
    /// processes started together do not refresh together.
    pub(crate) jitter: Duration,
    /// A value is invalid this long before it expires: requests take time.
    pub(crate) skew: Duration,
    /// How long to wait before asking again when the same value came back.
    pub(crate) gentle: Duration,
    /// How long an error is shared with callers that ask next.
    pub(crate) quiet: Duration,
    /// The wait after a first failure in the background; doubles up to `most_backoff`.
    pub(crate) first_backoff: Duration,
    /// The longest wait between failures in the background.
    pub(crate) most_backoff: Duration,
}

impl Policy {
    pub(crate) const fn new() -> Self {
        Self {
            stale_margin: Duration::from_secs(225),
            jitter: Duration::from_secs(60),
            skew: Duration::from_secs(5),
            gentle: Duration::from_secs(10),
            quiet: Duration::from_secs(1),
            first_backoff: Duration::from_secs(5),
            most_backoff: Duration::from_secs(60),
        }
    }

    /// The policy of this library, or the exact one.
    pub(crate) fn chosen(exact: bool) -> &'static Self {
        static OURS: Policy = Policy::new();
        static EXACT: Policy = Policy::exact();
        if exact { &EXACT } else { &OURS }
    }

    /// google-auth's: no jitter, no skew, nothing gentle, nothing shared.
    const fn exact() -> Self {
        Self {
            jitter: Duration::ZERO,
            skew: Duration::ZERO,
            gentle: Duration::ZERO,
            quiet: Duration::ZERO,
            first_backoff: Duration::ZERO,
            most_backoff: Duration::ZERO,
            ..Self::new()
        }
    }

    /// The wait before the next background attempt, after `failures` in a row.
    pub(crate) fn backoff(&self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1).min(16);
        self.first_backoff
            .saturating_mul(1 << doublings)
            .min(self.most_backoff)
    }

    /// The moments at which a value changes from fresh to stale to invalid.
    /// `sample`, from 0 to 1, places the jitter.
    pub(crate) fn deadlines(&self, validity: &Validity, sample: f64) -> Deadlines {
        let Some(ends) = validity.ends() else {
            return Deadlines::NEVER;
        };
        // A value that lives shorter than the skew must not be born invalid.
        let skew = self.skew.min(validity.lifetime() / 8);
        let margin = self
            .stale_margin
            .saturating_sub(self.jitter.mul_f64(sample.clamp(0.0, 1.0)))
            .max(skew);
        Deadlines {
            stale: ends.earlier(margin).into(),
            invalid: ends.earlier(skew).into(),
        }
    }
}

/// The moments at which a value changes; either clock may reach them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Deadlines {
    stale: Moment,
    invalid: Moment,
}

impl Deadlines {
    const NEVER: Self = Self {
        stale: Moment::NEVER,
        invalid: Moment::NEVER,
    };

    /// Of a value that the wall clock says nothing about.
    #[cfg(any(feature = "verify", feature = "iam"))]
    pub(crate) fn by_boot(stale: Duration, invalid: Duration) -> Self {
        let at = |boot| Moment {
            boot: Moment::from(Now::new(Duration::ZERO, boot)).boot,
            ..Moment::NEVER
        };
        Self {
            stale: at(stale),
            invalid: at(invalid),
        }
    }

    /// The same, of a value that is to be renewed from `now` on.
    pub(crate) fn stale_from(self, now: Moment) -> Self {
        let stale = if now.is_before(self.stale) {
            now
        } else {
            self.stale
        };
        Self { stale, ..self }
    }

    /// Whether more is left of this value, at `now`, than of one with the
    /// deadlines `other`: on the clock that ends it first.
    pub(crate) fn outlasts(self, other: Self, now: Now) -> bool {
        let now = Moment::from(now);
        let left = |it: Self| {
            let wall = it.invalid.wall.saturating_sub(now.wall);
            wall.min(it.invalid.boot.saturating_sub(now.boot))
        };
        left(self) > left(other)
    }

    #[inline]
    pub(crate) fn judge(&self, now: Moment) -> Freshness {
        if now.is_before(self.stale) {
            Freshness::Fresh
        } else if now.is_before(self.invalid) {
            Freshness::Stale
        } else {
            Freshness::Invalid
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(wall: u64, boot: u64) -> Now {
        Now::new(Duration::from_secs(wall), Duration::from_secs(boot))
    }

    fn judge(policy: &Policy, lifetime: u64, age: u64) -> Freshness {
        let validity = Validity::lasting(at(1000, 10), Duration::from_secs(lifetime));
        policy
            .deadlines(&validity, 0.0)
            .judge(at(1000 + age, 10 + age).into())
    }

    #[test]
    fn the_exact_policy_adds_nothing_to_google_auths() {
        let exact = Policy::chosen(true);
        let nothing = [
            exact.jitter,
            exact.skew,
            exact.gentle,
            exact.quiet,
            exact.first_backoff,
            exact.most_backoff,
        ];
        assert_eq!(nothing, [Duration::ZERO; 6]);
        assert_eq!(exact.stale_margin, Policy::chosen(false).stale_margin);
    }

    #[test]
    fn what_ends_at_the_same_moment_outlasts_nothing() {
        let deadlines = |lifetime| {
            let validity = Validity::lasting(at(1000, 10), Duration::from_secs(lifetime));
            Policy::new().deadlines(&validity, 0.0)
        };
        assert!(!deadlines(100).outlasts(deadlines(100), at(1001, 11)));
        assert!(deadlines(101).outlasts(deadlines(100), at(1001, 11)));
    }

    #[test]
    fn the_two_thresholds() {
        let policy = Policy::new();
        for (age, freshness) in [
            (0, Freshness::Fresh),
            (3374, Freshness::Fresh),
            (3375, Freshness::Stale),
            (3594, Freshness::Stale),
            (3595, Freshness::Invalid),
            (9999, Freshness::Invalid),
        ] {
            assert_eq!(judge(&policy, 3600, age), freshness, "{age}");
        }
    }

    #[test]
    fn the_exact_policy_is_google_auths_to_the_second() {
        let policy = Policy::exact();
        assert_eq!(judge(&policy, 3600, 3374), Freshness::Fresh);
        assert_eq!(judge(&policy, 3600, 3375), Freshness::Stale);
        assert_eq!(judge(&policy, 3600, 3599), Freshness::Stale);
        assert_eq!(judge(&policy, 3600, 3600), Freshness::Invalid);
    }

    #[test]
    fn either_clock_may_end_it() {
        let validity = Validity::lasting(at(1000, 10), Duration::from_secs(3600));
        let deadlines = Policy::new().deadlines(&validity, 0.0);
        assert_eq!(deadlines.judge(at(5000, 10).into()), Freshness::Invalid);
        assert_eq!(deadlines.judge(at(1000, 4000).into()), Freshness::Invalid);
        assert_eq!(deadlines.judge(at(4500, 10).into()), Freshness::Stale);
        // A wall clock set back makes nothing live longer.
        assert_eq!(deadlines.judge(at(0, 3650).into()), Freshness::Invalid);
    }

    #[test]
    fn backoff_doubles_and_is_bounded() {
        let policy = Policy::new();
        let waits: Vec<_> = (1..7).map(|n| policy.backoff(n).as_secs()).collect();
        assert_eq!(waits, [5, 10, 20, 40, 60, 60]);
        assert_eq!(policy.backoff(u32::MAX).as_secs(), 60);
    }

    proptest! {
        #[test]
        fn a_verdict_never_improves_with_age(
            lifetime in 0u64..10_000,
            sample in 0.0f64..1.0,
            ages in proptest::collection::vec((0u64..12_000, 0u64..12_000), 2),
        ) {
            let start = at(1_000_000, 5);
            let validity = Validity::lasting(start, Duration::from_secs(lifetime));
            let deadlines = Policy::new().deadlines(&validity, sample);
            let judge = |(wall, boot): (u64, u64)| {
                deadlines.judge(at(1_000_000 + wall, 5 + boot).into())
            };
            let (a, b) = (ages[0], ages[1]);
            let later = (a.0.max(b.0), a.1.max(b.1));
            prop_assert!(judge(later) <= judge(a));
            if lifetime > 0 {
                prop_assert!(judge((0, 0)) > Freshness::Invalid, "born invalid");
            }
            if a.0 >= lifetime || a.1 >= lifetime {
                prop_assert_eq!(judge(a), Freshness::Invalid);
            }
        }

        #[test]
        fn jitter_stays_inside_its_range(lifetime in 300u64..100_000, sample in 0.0f64..1.0) {
            let validity = Validity::lasting(at(0, 0), Duration::from_secs(lifetime));
            let stale = Policy::new().deadlines(&validity, sample).stale.boot as f64 / 1e9;
            prop_assert!(stale >= (lifetime - 225) as f64 - 1e-3);
            prop_assert!(stale <= (lifetime - 165) as f64 + 1e-3);
        }
    }
}
