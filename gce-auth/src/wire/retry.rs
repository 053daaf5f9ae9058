//! When to ask again, and when to give up. Pure: no clock, no sleep.

use std::time::Duration;

use http::{
    HeaderMap,
    header::{DATE, RETRY_AFTER},
};

use crate::wire::date;

/// How often and how long one operation is tried.
///
/// Only transient failures are repeated: no connection, no answer in time, a
/// broken connection, and the statuses 408, 429 and 5xx. `Retry-After` is
/// honoured where it fits into the budget. The default starts at 100 ms and
/// goes on for 10 seconds, which bridges the restart of a metadata server and
/// the first seconds of a GKE pod.
/// Where an operation failed after some waits, the next one for the same token
/// goes on with those: it begins with the longest wait rather than with 100 ms,
/// until a token comes. So a server that comes back after an outage is not asked
/// by everybody ten times a second.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use gce_auth::RetryPolicy;
///
/// let patient = RetryPolicy::new().budget(Duration::from_secs(60));
/// let once = RetryPolicy::new().attempts(1);
/// # let _ = (patient, once);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct RetryPolicy {
    attempts: u32,
    first_wait: Duration,
    factor: f64,
    longest_wait: Duration,
    budget: Duration,
    jitter: f64,
    /// Whether an operation goes on with the waits of one that failed.
    goes_on: bool,
}

impl RetryPolicy {
    /// The default policy: as many attempts as fit into 10 seconds, 100 ms
    /// before the second, doubling up to 3 s, each wait 20 % longer or shorter.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            attempts: u32::MAX,
            first_wait: Duration::from_millis(100),
            factor: 2.0,
            longest_wait: Duration::from_secs(3),
            budget: Duration::from_secs(10),
            jitter: 0.2,
            goes_on: true,
        }
    }

    /// What google-auth does: 5 attempts, 1 s before the second, doubling,
    /// 10 % jitter, and time for all of them (`google.auth._exponential_backoff`).
    #[must_use]
    pub const fn google_auth() -> Self {
        Self {
            attempts: 5,
            first_wait: Duration::from_secs(1),
            factor: 2.0,
            longest_wait: Duration::from_secs(8),
            budget: Duration::from_secs(32),
            jitter: 0.1,
            goes_on: false,
        }
    }

    /// At most this many attempts, the first one included; 0 counts as 1.
    #[must_use]
    pub const fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = if attempts == 0 { 1 } else { attempts };
        self
    }

    /// The wait before the second attempt.
    #[must_use]
    pub const fn first_wait(mut self, wait: Duration) -> Self {
        self.first_wait = wait;
        self
    }

    /// How much longer each wait is than the one before; below 1, or not a
    /// number, counts as 1.
    #[must_use]
    pub fn factor(mut self, factor: f64) -> Self {
        self.factor = if factor >= 1.0 { factor } else { 1.0 };
        self
    }

    /// No wait is longer than this, before jitter.
    #[must_use]
    pub const fn longest_wait(mut self, wait: Duration) -> Self {
        self.longest_wait = wait;
        self
    }

    /// Time for the whole operation, attempts and waits together.
    #[must_use]
    pub const fn budget(mut self, budget: Duration) -> Self {
        self.budget = budget;
        self
    }

    /// How far a wait may differ from the computed one, as a fraction of it;
    /// clamped to 0 … 1.
    #[must_use]
    pub fn jitter(mut self, jitter: f64) -> Self {
        self.jitter = if jitter > 0.0 { jitter.min(1.0) } else { 0.0 };
        self
    }

    pub(crate) fn total(&self) -> Duration {
        self.budget
    }

    /// The same, with time for at least one attempt as long as this.
    pub(crate) fn with_room_for(mut self, attempt: Duration) -> Self {
        self.budget = self.budget.max(attempt);
        self
    }

    /// The wait before the next attempt, or `None` to give up.
    ///
    /// `failed` attempts were made, after `waited` waits of operations that
    /// failed before this one, and `remaining` is left of the budget.
    /// `sample`, from 0 to 1, places the jitter.
    pub(crate) fn next_wait(
        &self,
        failed: u32,
        waited: u32,
        retry_after: Option<Duration>,
        remaining: Duration,
        sample: f64,
    ) -> Option<Duration> {
        if failed >= self.attempts {
            return None;
        }
        let waited = if self.goes_on { waited } else { 0 };
        let wait = self.nominal_wait(failed.saturating_add(waited));
        let spread = 1.0 + self.jitter * (2.0 * sample.clamp(0.0, 1.0) - 1.0);
        let wait = within(wait.as_secs_f64() * spread).max(retry_after.unwrap_or_default());
        // An attempt with no time left is a wait for nothing.
        (wait < remaining).then_some(wait)
    }

    fn nominal_wait(&self, failed: u32) -> Duration {
        let longest = self.longest_wait.as_secs_f64();
        let power = i32::try_from(failed.saturating_sub(1)).unwrap_or(i32::MAX);
        let seconds = self.first_wait.as_secs_f64() * self.factor.powi(power).min(f64::MAX);
        within(seconds.min(longest))
    }
}

/// So many seconds, as far as a `Duration` goes.
fn within(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self::new()
    }
}

/// How long an answer with these headers asks to wait. A date in it is held
/// against the server's own clock, which `Date` shows, or else against `now`, a
/// Unix time.
pub(crate) fn asked_for(headers: &HeaderMap, now: Option<Duration>) -> Option<Duration> {
    let text = |name| headers.get(name)?.to_str().ok();
    let its_now = text(DATE).and_then(date::read);
    retry_after(text(RETRY_AFTER)?, its_now.or(now))
}

/// Reads `Retry-After` (RFC 9110, 10.2.3): seconds, or a date, which is that
/// far from `now`. What is over by then asks for no wait.
pub(crate) fn retry_after(value: &str, now: Option<Duration>) -> Option<Duration> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        // Digits that are too many are a time that is too long, not no time.
        return Some(Duration::from_secs(value.parse().unwrap_or(u64::MAX)));
    }
    Some(date::read(value)?.saturating_sub(now?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PLENTY: Duration = Duration::from_secs(1000);
    /// Wed, 21 Oct 2015 07:28:00 GMT.
    const MORNING: Option<Duration> = Some(Duration::from_secs(1_445_412_480));

    fn nominal(policy: &RetryPolicy, n: u32) -> Vec<u64> {
        (1..=n)
            .filter_map(|failed| policy.next_wait(failed, 0, None, PLENTY, 0.5))
            .map(|wait| u64::try_from(wait.as_millis()).unwrap())
            .collect()
    }

    #[test]
    fn waits_double_up_to_the_cap() {
        assert_eq!(
            nominal(&RetryPolicy::new(), 8),
            [100, 200, 400, 800, 1600, 3000, 3000, 3000]
        );
    }

    #[test]
    fn waits_without_a_cap_are_no_panic() {
        let policy = RetryPolicy::new()
            .longest_wait(Duration::MAX)
            .attempts(u32::MAX);
        for (failed, waited) in [(70, 0), (1000, 0), (u32::MAX - 1, u32::MAX)] {
            for sample in [0.0, 0.5, 1.0] {
                let wait = policy.next_wait(failed, waited, None, PLENTY, sample);
                assert_eq!(wait, None, "{failed} {waited}");
            }
        }
        let policy = RetryPolicy::new()
            .first_wait(Duration::MAX)
            .longest_wait(Duration::MAX);
        assert_eq!(policy.next_wait(1, 0, None, PLENTY, 1.0), None);
    }

    #[test]
    fn google_auth_waits_1_2_4_8_and_gives_up() {
        assert_eq!(
            nominal(&RetryPolicy::google_auth(), 9),
            [1000, 2000, 4000, 8000]
        );
    }

    #[test]
    fn retry_after_is_honoured_only_inside_the_budget() {
        let policy = RetryPolicy::new();
        let second = Some(Duration::from_secs(1));
        assert_eq!(policy.next_wait(1, 0, second, PLENTY, 0.5), second);
        assert_eq!(
            policy.next_wait(1, 0, second, Duration::from_millis(900), 0.5),
            None
        );
        assert_eq!(retry_after(" 3 ", MORNING), Some(Duration::from_secs(3)));
        assert_eq!(retry_after("1.5", MORNING), None);
        assert_eq!(retry_after("soon", MORNING), None);
        assert_eq!(retry_after("-1", MORNING), None);
        assert_eq!(retry_after("+1", MORNING), None);
        assert_eq!(retry_after("", MORNING), None);
        let ages = retry_after("99999999999999999999", MORNING);
        assert!(ages > Some(Duration::from_secs(1_000_000)));
        assert_eq!(policy.next_wait(1, 0, ages, PLENTY, 0.5), None);
    }

    #[test]
    fn a_date_to_wait_for_is_a_time_to_wait() {
        for (date, seconds) in [
            ("Wed, 21 Oct 2015 07:28:02 GMT", 2),
            ("Wednesday, 21-Oct-15 07:29:00 GMT", 60),
            ("Wed Oct 21 08:28:00 2015", 3600),
            ("Wed, 21 Oct 2015 07:28:00 GMT", 0),
            // Over.
            ("Wed, 21 Oct 2015 07:27:00 GMT", 0),
            ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
        ] {
            let wait = Some(Duration::from_secs(seconds));
            assert_eq!(retry_after(date, MORNING), wait, "{date}");
            assert_eq!(retry_after(date, None), None);
        }
    }

    #[test]
    fn an_operation_goes_on_with_the_waits_of_one_that_failed() {
        let wait = |policy: &RetryPolicy, waited| policy.next_wait(1, waited, None, PLENTY, 0.5);
        let millis = |millis| Some(Duration::from_millis(millis));
        let policy = RetryPolicy::new();
        assert_eq!(wait(&policy, 0), millis(100));
        assert_eq!(wait(&policy, 2), millis(400));
        assert_eq!(wait(&policy, 7), millis(3000));
        assert_eq!(wait(&policy, u32::MAX), millis(3000));
        // What google-auth does is one call at a time.
        assert_eq!(wait(&RetryPolicy::google_auth(), 7), millis(1000));
        // Waits are no attempts.
        assert_eq!(wait(&RetryPolicy::new().attempts(2), 7), millis(3000));
    }

    proptest! {
        #[test]
        fn no_wait_reaches_beyond_the_budget_and_jitter_stays_in_range(
            failed in 1u32..10_000,
            waited in 0u32..10_000,
            attempts in 1u32..50,
            first in 0u64..20_000,
            longest in 0u64..20_000,
            factor in -1.0f64..1e6,
            jitter in -1.0f64..3.0,
            remaining in 0u64..60_000,
            after in proptest::option::of(0u64..60_000),
            sample in -1.0f64..2.0,
        ) {
            let policy = RetryPolicy::new()
                .attempts(attempts)
                .first_wait(Duration::from_millis(first))
                .longest_wait(Duration::from_millis(longest))
                .factor(factor)
                .jitter(jitter);
            let remaining = Duration::from_millis(remaining);
            let after = after.map(Duration::from_millis);
            let wait = policy.next_wait(failed, waited, after, remaining, sample);
            if let Some(wait) = wait {
                prop_assert!(failed < attempts);
                prop_assert!(wait < remaining);
                prop_assert!(after.is_none_or(|after| wait >= after));
                let nominal = policy.nominal_wait(failed + waited);
                let most = nominal.mul_f64(1.0 + jitter.clamp(0.0, 1.0)) + Duration::from_micros(1);
                prop_assert!(wait <= most.max(after.unwrap_or_default()));
            }
        }

        #[test]
        fn nominal_waits_never_shrink(first in 0u64..5_000, factor in 0.0f64..10.0) {
            let policy = RetryPolicy::new().first_wait(Duration::from_millis(first)).factor(factor);
            for failed in 1..20 {
                prop_assert!(policy.nominal_wait(failed) <= policy.nominal_wait(failed + 1));
            }
        }
    }
}
