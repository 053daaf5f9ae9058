//! How often and how long an operation is tried.

use std::time::Duration;

/// How often and how long an operation is tried.
///
/// Only transient failures are repeated: no connection, no answer in time, a
/// broken connection, and the statuses 408, 429 and 5xx other than 501.
/// `Retry-After` is honoured where it fits into the budget. The default starts
/// at 100 ms and goes on for 10 s, which bridges the restart of a metadata
/// server and the first seconds of a GKE pod.
///
/// An operation that follows a failed one for the same token continues with
/// its waits: it begins with the longest wait rather than with 100 ms, until a
/// token arrives. A server that comes back after an outage is therefore not
/// asked by every program ten times a second.
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
    /// As many as fit into the budget, or google-auth's, unless set.
    pub(super) attempts: Option<u32>,
    pub(super) first_wait: Duration,
    pub(super) factor: f64,
    pub(super) longest_wait: Duration,
    pub(super) budget: Option<Duration>,
    jitter: f64,
    /// Whether each server is asked as google-auth asks it.
    pub(super) google_auth: bool,
}

impl RetryPolicy {
    /// Returns the default policy: as many attempts as fit into 10 s, 100 ms
    /// before the second, doubling up to 3 s, each wait up to 20 % longer or
    /// shorter.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            attempts: None,
            first_wait: Duration::from_millis(100),
            factor: 2.0,
            longest_wait: Duration::from_secs(3),
            budget: None,
            jitter: 0.2,
            google_auth: false,
        }
    }

    /// Returns the policy of google-auth (`google.auth._exponential_backoff`):
    /// 1 s before the second attempt, doubling, 10 % jitter.
    ///
    /// Each server keeps the numbers that google-auth has for it: 5 attempts at
    /// the metadata server, 3 to sign through IAM (status 500, 502, 503 and 504
    /// only) and at an OAuth 2.0 token endpoint. A broken connection is
    /// repeated at the metadata server alone. Budget: 32 s for each server that
    /// a token comes from; 60 s for a signature by a [`Signer`](crate::Signer),
    /// 152 s for an ID token of the IAM flow.
    #[must_use]
    pub const fn google_auth() -> Self {
        Self {
            attempts: None,
            first_wait: Duration::from_secs(1),
            factor: 2.0,
            longest_wait: Duration::from_secs(8),
            budget: None,
            jitter: 0.1,
            google_auth: true,
        }
    }

    /// Sets the highest number of attempts, the first one included; 0 counts
    /// as 1. Default: as many as fit into the budget. Under
    /// [`google_auth`](Self::google_auth) it never raises the numbers of
    /// servers other than the metadata server.
    #[must_use]
    pub const fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = Some(if attempts == 0 { 1 } else { attempts });
        self
    }

    /// Sets the wait before the second attempt. Default: 100 ms.
    #[must_use]
    pub const fn first_wait(mut self, wait: Duration) -> Self {
        self.first_wait = wait;
        self
    }

    /// Sets the factor from one wait to the next; below 1, or not a number,
    /// counts as 1. Default: 2.
    #[must_use]
    pub fn factor(mut self, factor: f64) -> Self {
        self.factor = if factor >= 1.0 { factor } else { 1.0 };
        self
    }

    /// Sets the longest wait, before jitter. Default: 3 s.
    #[must_use]
    pub const fn longest_wait(mut self, wait: Duration) -> Self {
        self.longest_wait = wait;
        self
    }

    /// Sets the budget of an operation: attempts, waits and the time in a queue
    /// together. A token that needs another server's token first has the sum of
    /// both budgets: see [`docs::limits`](crate::docs::limits#time-and-size).
    /// Default: 10 s.
    #[must_use]
    pub const fn budget(mut self, budget: Duration) -> Self {
        self.budget = Some(budget);
        self
    }

    /// Sets how far a wait may differ from the computed one, as a fraction of
    /// it; clamped to 0 … 1. Default: 0.2.
    #[must_use]
    pub fn jitter(mut self, jitter: f64) -> Self {
        self.jitter = if jitter > 0.0 { jitter.min(1.0) } else { 0.0 };
        self
    }

    pub(super) const DEFAULT_BUDGET: Duration = Duration::from_secs(10);

    pub(super) fn most_attempts(&self) -> u32 {
        self.attempts.unwrap_or(u32::MAX)
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
        if failed >= self.most_attempts() {
            return None;
        }
        let waited = if self.google_auth { 0 } else { waited };
        let wait = self.nominal_wait(failed.saturating_add(waited));
        let spread = 1.0 + self.jitter * (2.0 * sample.clamp(0.0, 1.0) - 1.0);
        let wait = within(wait.as_secs_f64() * spread).max(retry_after.unwrap_or_default());
        // An attempt with no time left is a wait for nothing.
        (wait < remaining).then_some(wait)
    }

    pub(super) fn nominal_wait(&self, failed: u32) -> Duration {
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
