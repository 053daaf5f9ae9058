//! What callers do who need a value: take it, or wait for it within their budgets.

use std::{sync::Arc, time::Duration};

use crate::{
    refresh::{
        cache::{Cache, Next},
        past::TaskId,
        policy::Freshness,
        reason::Reason,
        source::{RefreshMode, Source},
        value::Value,
    },
    task::{ended, shared_task::SharedTask, under_way},
    values::{budget::Budget, error::Error},
};

/// How often a caller asks anew because what came was rejected meanwhile, or
/// expired in a pause.
const ROUNDS: u32 = 3;
/// A value that lives for so long expires on its way in a pause only: the
/// machine was suspended while the answer was awaited.
const LONGER_THAN_ANY_WAY: Duration = Duration::from_secs(10);

/// The task that a caller has waited for.
struct Waited<V> {
    task: Arc<SharedTask<V>>,
    id: TaskId,
    /// Whether the caller's thread did it.
    done_here: bool,
}

impl<S: Source> Cache<S> {
    /// Returns the value, fetched if need be; waits as `mode` says.
    pub(crate) async fn get(&self, mode: RefreshMode) -> Result<S::Value, Error> {
        self.get_after(mode, Duration::ZERO).await
    }

    /// [`get`](Self::get), waiting on this thread.
    #[cfg(any(test, feature = "iam"))]
    pub(crate) fn blocking_get(&self, mode: RefreshMode) -> Result<S::Value, Error> {
        self.blocking_get_after(mode, Duration::ZERO)
    }

    /// [`get`](Self::get) for a caller that has spent so much of its budget.
    pub(crate) async fn get_after(
        &self,
        mode: RefreshMode,
        mut spent: Duration,
    ) -> Result<S::Value, Error> {
        match self.at_hand(mode, &mut spent) {
            Ok(value) => Ok(value),
            Err(why) => self.wait(why, spent).await,
        }
    }

    /// [`get_after`](Self::get_after), waiting on this thread.
    pub(crate) fn blocking_get_after(
        &self,
        mode: RefreshMode,
        mut spent: Duration,
    ) -> Result<S::Value, Error> {
        match self.at_hand(mode, &mut spent) {
            Ok(value) => Ok(value),
            Err(why) => self.blocking_wait(why, spent),
        }
    }

    /// Returns a value that was requested after this call.
    pub(crate) async fn refresh(&self) -> Result<S::Value, Error> {
        self.wait(Reason::Force, Duration::ZERO).await
    }

    /// [`refresh`](Self::refresh), waiting on this thread.
    pub(crate) fn blocking_refresh(&self) -> Result<S::Value, Error> {
        self.blocking_wait(Reason::Force, Duration::ZERO)
    }

    /// Returns the value if it is valid; starts a renewal when one is due, and
    /// adds to `spent` how long that took if it was done here.
    #[cfg(feature = "verify")]
    pub(crate) fn peek(&self, spent: &mut Duration) -> Option<S::Value> {
        self.at_hand(RefreshMode::Background, spent).ok()
    }

    /// Returns the value that the refresh brings which is out, or else a new one,
    /// to a caller that has spent so much of its budget.
    #[cfg(feature = "verify")]
    pub(crate) async fn next_value(&self, spent: Duration) -> Result<S::Value, Error> {
        self.wait(Reason::Next, spent).await
    }

    /// [`next_value`](Self::next_value), waiting on this thread.
    #[cfg(feature = "verify")]
    pub(crate) fn blocking_next_value(&self, spent: Duration) -> Result<S::Value, Error> {
        self.blocking_wait(Reason::Next, spent)
    }

    /// Returns a value, fetched by the executor if need be; waits at most for
    /// `limit`, whatever the budget is.
    pub(crate) fn blocking_get_within(&self, limit: Duration) -> Result<S::Value, Error> {
        let now = self.clock.now();
        if let Some((entry, _)) = self.refreshes.read(now) {
            return Ok(entry.value);
        }
        match self.next(Reason::Need(Freshness::Stale), now) {
            Next::Done(outcome) => outcome,
            Next::Wait { task, lead, .. } => {
                if lead {
                    self.depart(&task, &Budget::new(now, limit));
                }
                let outcome = task.wait_briefly(limit);
                outcome.unwrap_or_else(|| Err(ended::late()))
            }
        }
    }

    /// Returns a value that needs no wait in `mode`, else what to wait for. Adds
    /// to `spent` how long a renewal took that was done here.
    fn at_hand(&self, mode: RefreshMode, spent: &mut Duration) -> Result<S::Value, Reason> {
        match self.refreshes.read(self.clock.now()) {
            Some((entry, Freshness::Fresh)) => Ok(entry.value),
            // It has just been renewed here: the next caller sees to another renewal.
            Some((entry, _)) if mode == RefreshMode::Background && !spent.is_zero() => {
                Ok(entry.value)
            }
            Some((entry, _)) if mode == RefreshMode::Background => {
                let Some(took) = self.renew() else {
                    return Ok(entry.value);
                };
                *spent = spent.saturating_add(took);
                // That took time: another value may be held, or none.
                let held = self.refreshes.read(self.clock.now());
                held.map_or(Err(Reason::Need(Freshness::Stale)), |(entry, _)| {
                    Ok(entry.value)
                })
            }
            Some(_) => Err(Reason::Need(Freshness::Fresh)),
            None => Err(Reason::Need(Freshness::Stale)),
        }
    }

    async fn wait(&self, why: Reason, spent: Duration) -> Result<S::Value, Error> {
        let budget = self.budget_of_call(spent);
        for _ in 0..ROUNDS {
            let now = self.clock.now();
            let (outcome, waited) = match self.next(why, now) {
                Next::Done(outcome) => (outcome, None),
                Next::Wait { task, id, lead } => {
                    let landed = task.outcome_from(now, budget.left(now));
                    let done_here = lead && self.depart(&task, &budget);
                    let outcome = landed.await;
                    (
                        outcome,
                        Some(Waited {
                            task,
                            id,
                            done_here,
                        }),
                    )
                }
            };
            if let Some(outcome) = self.checked(why, outcome, waited, &budget) {
                return outcome;
            }
        }
        Err(ended::late())
    }

    fn blocking_wait(&self, why: Reason, spent: Duration) -> Result<S::Value, Error> {
        let budget = self.budget_of_call(spent);
        for _ in 0..ROUNDS {
            let now = self.clock.now();
            let (outcome, waited) = match self.next(why, now) {
                Next::Done(outcome) => (outcome, None),
                Next::Wait { task, id, lead } => {
                    let left = budget.left(now);
                    // What others wait for is not begun without time to do it.
                    let may_begin = lead || !left.is_zero();
                    let done_here = may_begin && under_way::within(&budget, || task.run());
                    let outcome = task.wait(left);
                    (
                        outcome,
                        Some(Waited {
                            task,
                            id,
                            done_here,
                        }),
                    )
                }
            };
            if let Some(outcome) = self.checked(why, outcome, waited, &budget) {
                return outcome;
            }
        }
        Err(ended::late())
    }

    /// The budget of a call that begins and has `spent` so much of it: no more
    /// than what is left to the operation that it is a part of.
    fn budget_of_call(&self, spent: Duration) -> Budget {
        let now = self.clock.now();
        let total = self.source.budget().saturating_sub(spent);
        Budget::new(now, under_way::left(total, now))
    }

    /// What an outcome means to a caller with this budget that waited for it;
    /// `None`: nothing, as it is of before a rejection, of before a refresh that
    /// the program asked for, or of before a pause that it did not outlive; or
    /// as the refresh was queued until the budget of others was spent, or had
    /// less time than this caller.
    fn checked(
        &self,
        why: Reason,
        outcome: Result<S::Value, Error>,
        waited: Option<Waited<S::Value>>,
        budget: &Budget,
    ) -> Option<Result<S::Value, Error>> {
        let held = || self.refreshes.read(self.clock.now());
        let has_time = || !budget.left(self.clock.now()).is_zero();
        match (&outcome, waited) {
            (Ok(value), Some(it)) if self.refreshes.is_obsolete(it.id, value) => {
                // Only what was requested later is as good as the refresh that a program asked for.
                let later = !why.is_for_another() || self.refreshes.is_overtaken(it.id);
                held().filter(|_| later).map(|(entry, _)| Ok(entry.value))
            }
            (Ok(value), Some(_)) if self.expired_on_its_way(value) => None,
            (Err(_), Some(it)) if it.task.expired_undone() && has_time() => None,
            (Err(error), Some(it))
                if !it.done_here && it.task.was_hurried() && error.is_retryable() && has_time() =>
            {
                None
            }
            // A valid value is never given up.
            (Err(_), _) if !why.is_for_another() => {
                Some(held().map_or(outcome, |(entry, _)| Ok(entry.value)))
            }
            _ => Some(outcome),
        }
    }

    fn expired_on_its_way(&self, value: &S::Value) -> bool {
        let deadlines = value.deadlines(self.refreshes.shared.policy, 0.0);
        deadlines.judge(self.clock.now().into()) == Freshness::Invalid
            && value.validity().lifetime() >= LONGER_THAN_ANY_WAY
    }
}
