//! The attempts of one operation, as a state machine: when to send, how long
//! to wait, when to give up. Knows no clock and no socket; a driver sends,
//! sleeps, and says what came of it.

use std::time::Duration;

use crate::{
    values::{
        budget::Budget,
        error::{Error, ErrorKind},
        token::Now,
    },
    wire::retry::{policy::RetryPolicy, server::Server},
};

/// An attempt that took this much longer than it may was not slow but frozen:
/// the process had no processor, or the machine was suspended.
pub(crate) const FROZEN: Duration = Duration::from_secs(2);
/// How often a frozen attempt is repeated without being counted.
const MOST_FROZEN: u32 = 3;
/// The longest wait that a server is granted where no budget ends it.
const LONGEST_ASKED: Duration = Duration::from_secs(60);

/// What one attempt came to.
#[derive(Debug)]
pub(crate) enum Attempt<T> {
    Answer(T),
    /// The answer says what to ask in its place, at once.
    Redirected,
    /// Something else is to be asked first, at once. Not an attempt.
    Aside,
    /// No answer; asked again if the policy repeats it.
    Broken(Error),
    /// An answer that is a failure; asked again if the policy repeats it.
    Failed(Error),
    /// No answer; asked again whatever the policy repeats.
    Transient(Error),
    /// Never asked again.
    Final(Error),
}

impl<T> Attempt<T> {
    pub(crate) fn error(&self) -> Option<&Error> {
        match self {
            Self::Answer(_) | Self::Redirected | Self::Aside => None,
            Self::Broken(error)
            | Self::Failed(error)
            | Self::Transient(error)
            | Self::Final(error) => Some(error),
        }
    }
}

/// What the driver does next.
#[derive(Debug)]
pub(crate) enum Next<T> {
    Done(T),
    /// Send at once.
    Send,
    /// Wait, then send.
    Wait(Duration),
    GiveUp(Error),
}

/// How long an attempt took, and how long it was allowed to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timing {
    pub(crate) took: Duration,
    pub(crate) allowed: Duration,
}

/// The attempts of one operation at one server.
#[derive(Debug)]
pub(crate) struct Attempts {
    policy: RetryPolicy,
    server: Server,
    made: u32,
    frozen: u32,
    /// Whether the last attempt had less time than an attempt is worth.
    cut_short: bool,
    /// How the attempt before it failed.
    told: Option<Error>,
    took: Duration,
}

impl Attempts {
    pub(crate) fn new(policy: &RetryPolicy, server: Server) -> Self {
        Self {
            policy: policy.at(server),
            server,
            made: 0,
            frozen: 0,
            cut_short: false,
            told: None,
            took: Duration::ZERO,
        }
    }

    /// How many attempts were made.
    pub(crate) fn made(&self) -> u32 {
        self.made
    }

    /// Returns the time that the next attempt has, of `limit` and what is left
    /// at `now`.
    ///
    /// # Errors
    /// What went wrong before, where nothing is left.
    pub(crate) fn begin(
        &mut self,
        limit: Duration,
        budget: &Budget,
        now: Now,
    ) -> Result<Duration, Error> {
        let left = budget.left(now);
        if left.is_zero() {
            let late = || Error::new(ErrorKind::Timeout, "there was no time left to ask");
            let error = self.told.take().unwrap_or_else(late);
            return Err(self.finish(error));
        }
        self.cut_short = left < limit;
        Ok(limit.min(left))
    }

    /// Takes note of an attempt that ended at `now`. `sample`, from 0 to 1,
    /// places the jitter.
    pub(crate) fn end<T>(
        &mut self,
        attempt: Attempt<T>,
        timing: Timing,
        budget: &mut Budget,
        now: Now,
        sample: f64,
    ) -> Next<T> {
        let Timing { took, allowed } = timing;
        self.took = self.took.saturating_add(took);
        let over = took.saturating_sub(allowed);
        let froze = over > FROZEN && self.frozen < MOST_FROZEN;
        if froze && matches!(attempt, Attempt::Broken(_) | Attempt::Transient(_)) {
            self.frozen += 1;
            budget.leave_out(took);
            return Next::Send;
        }
        if !matches!(attempt, Attempt::Aside) {
            self.made = self.made.saturating_add(1);
        }
        budget.leave_out(over.saturating_sub(FROZEN));
        match attempt {
            Attempt::Answer(answer) => Next::Done(answer),
            Attempt::Redirected | Attempt::Aside => Next::Send,
            Attempt::Final(error) => Next::GiveUp(self.finish(error)),
            Attempt::Broken(error) | Attempt::Failed(error)
                if !self.policy.repeats(self.server, &error) =>
            {
                Next::GiveUp(self.finish(error))
            }
            Attempt::Broken(error) | Attempt::Failed(error) | Attempt::Transient(error) => {
                match self.wait_after(error, budget.waits(), budget.left(now), sample) {
                    Ok(wait) => Next::Wait(wait),
                    Err(error) => Next::GiveUp(error),
                }
            }
        }
    }

    /// The wait after a failure, or the error to give up with.
    fn wait_after(
        &mut self,
        error: Error,
        waited: u32,
        left: Duration,
        sample: f64,
    ) -> Result<Duration, Error> {
        let mut asked = error.retry_after();
        if left == Duration::MAX {
            asked = asked.map(|asked| asked.min(LONGEST_ASKED));
        }
        let wait = self
            .policy
            .next_wait(self.made, waited, asked, left, sample);
        // That nothing came in the last blink of the budget says less than
        // what went wrong before it.
        let told = match self.told.take() {
            Some(told) if self.cut_short && error.kind() == ErrorKind::Timeout => told,
            _ => error,
        };
        let Some(wait) = wait else {
            return Err(self.finish(told));
        };
        self.told = Some(told);
        self.took = self.took.saturating_add(wait);
        Ok(wait)
    }

    /// Takes note of a wait that took `slept` in place of `wait`: a process that
    /// was suspended meanwhile goes on with the rest of its budget.
    pub(crate) fn woke(slept: Duration, wait: Duration, budget: &mut Budget) {
        let over = slept.saturating_sub(wait);
        if over > FROZEN {
            budget.leave_out(over);
        }
    }

    /// An error, with what was tried.
    pub(crate) fn finish(&self, error: Error) -> Error {
        error.after(self.made, self.took)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const PROMPT: Timing = Timing {
        took: Duration::ZERO,
        allowed: SECOND,
    };

    fn at(seconds: u64) -> Now {
        Now::new(Duration::ZERO, Duration::from_secs(seconds))
    }

    fn unavailable() -> Error {
        Error::new(ErrorKind::Unavailable, "down")
    }

    fn broken() -> Attempt<()> {
        Attempt::Broken(unavailable())
    }

    fn fresh(budget: Duration) -> (Attempts, Budget) {
        let attempts = Attempts::new(&RetryPolicy::new(), Server::Metadata);
        (attempts, Budget::new(at(0), budget))
    }

    /// Every wait until it gives up, where each attempt fails at once.
    fn waits(policy: &RetryPolicy, server: Server) -> (Vec<u64>, Error) {
        let mut attempts = Attempts::new(policy, server);
        let mut budget = Budget::new(at(0), Duration::MAX);
        let mut waits = Vec::new();
        loop {
            attempts.begin(SECOND, &budget, at(0)).unwrap();
            match attempts.end(broken(), PROMPT, &mut budget, at(0), 0.5) {
                Next::Wait(wait) => waits.push(wait.as_secs()),
                Next::GiveUp(error) => return (waits, error),
                next => panic!("{next:?}"),
            }
        }
    }

    #[test]
    fn google_auths_waits_at_each_server() {
        let policy = RetryPolicy::google_auth();
        let (seconds, error) = waits(&policy, Server::Metadata);
        assert_eq!((seconds, error.attempts()), (vec![1, 2, 4, 8], 5));
        #[cfg(feature = "iam")]
        {
            let (seconds, error) = waits(&policy, Server::Signing);
            assert_eq!((seconds, error.attempts()), (vec![], 1));
            let (seconds, error) = waits(&RetryPolicy::new(), Server::Boundary);
            assert_eq!((seconds, error.attempts()), (vec![1, 2, 4, 8, 16], 6));
        }
    }

    #[test]
    fn an_attempt_has_what_is_left_and_none_without_time() {
        let (mut attempts, mut budget) = fresh(SECOND);
        assert_eq!(
            attempts.begin(SECOND * 3, &budget, at(0)).unwrap(),
            SECOND,
            "what is left"
        );
        let slow = Timing {
            took: SECOND,
            allowed: SECOND,
        };
        let next = attempts.end(broken(), slow, &mut budget, at(1), 0.5);
        assert_eq!(attempts.made(), 1);
        let Next::GiveUp(error) = next else {
            panic!("there is no time to wait: {next:?}")
        };
        assert_eq!((error.attempts(), error.elapsed()), (1, Some(SECOND)));
        let error = attempts.begin(SECOND, &budget, at(1)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout);
    }

    #[test]
    fn a_frozen_attempt_is_not_counted_three_times() {
        let (mut attempts, mut budget) = fresh(SECOND * 10);
        let frozen = Timing {
            took: SECOND * 100,
            allowed: SECOND,
        };
        let mut now = 0;
        for _ in 0..MOST_FROZEN {
            now += 100;
            let next = attempts.end(broken(), frozen, &mut budget, at(now), 0.5);
            assert!(matches!(next, Next::Send), "{next:?}");
        }
        assert_eq!((attempts.made(), budget.left(at(now))), (0, SECOND * 10));
        now += 100;
        let next = attempts.end(broken(), frozen, &mut budget, at(now), 0.5);
        assert!(matches!(next, Next::Wait(_)), "{next:?}");
        // What it was allowed, and what it takes to be frozen.
        assert_eq!(budget.left(at(now)), SECOND * 7);
    }

    #[test]
    fn a_wait_that_was_slept_through_costs_what_it_was_to_take() {
        let (_, mut budget) = fresh(SECOND * 10);
        Attempts::woke(SECOND * 2, SECOND, &mut budget);
        assert_eq!(budget.left(at(2)), SECOND * 8, "a busy machine");
        Attempts::woke(SECOND * 101, SECOND, &mut budget);
        assert_eq!(budget.left(at(103)), SECOND * 7, "a suspended one");
        Attempts::woke(FROZEN + SECOND, SECOND, &mut budget);
        assert_eq!(budget.left(at(105)), SECOND * 5, "not yet suspended");
    }

    #[test]
    fn without_an_end_a_server_is_waited_for_a_minute_at_most() {
        let (mut attempts, mut budget) = fresh(Duration::MAX);
        let error = unavailable().with_retry_after(Some(SECOND * 86_400));
        let failed: Attempt<()> = Attempt::Failed(error);
        let next = attempts.end(failed, PROMPT, &mut budget, at(0), 0.5);
        assert!(matches!(next, Next::Wait(wait) if wait == LONGEST_ASKED));
    }

    #[test]
    fn what_a_policy_does_not_repeat_is_told_at_once() {
        let (mut attempts, mut budget) = fresh(SECOND);
        let error = Error::new(ErrorKind::Tls, "untrusted");
        let failed: Attempt<()> = Attempt::Failed(error.clone());
        let next = attempts.end(failed, PROMPT, &mut budget, at(0), 0.5);
        assert!(matches!(next, Next::GiveUp(_)), "{next:?}");
        let passes: Attempt<()> = Attempt::Transient(error);
        let next = attempts.end(passes, PROMPT, &mut budget, at(0), 0.5);
        assert!(matches!(next, Next::Wait(_)), "{next:?}");
    }

    #[test]
    fn final_is_final_and_a_redirect_is_followed_at_once() {
        let (mut attempts, mut budget) = fresh(SECOND);
        for asked in [Attempt::Redirected, Attempt::Aside] {
            let next: Next<()> = attempts.end(asked, PROMPT, &mut budget, at(0), 0.5);
            assert!(matches!(next, Next::Send));
        }
        let last: Attempt<()> = Attempt::Final(unavailable());
        let next = attempts.end(last, PROMPT, &mut budget, at(0), 0.5);
        assert!(matches!(next, Next::GiveUp(error) if error.attempts() == 2));
    }
}
