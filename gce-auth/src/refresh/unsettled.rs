//! A refresh is settled however it ends.

use crate::{
    io::{clock::AnyClock, events},
    refresh::{
        past::TaskId,
        refreshes::Refreshes,
        source::{FetchContext, Source},
        value::Value,
    },
    task::{ended, shared_task::SharedTask, under_way},
    values::{budget::Budget, error::Error},
};

/// A refresh whose outcome is not known: settled also if its source panics, or the executor drops
/// it.
pub(super) struct Unsettled<V: Value> {
    pub(super) refreshes: Refreshes<V>,
    pub(super) id: Option<TaskId>,
    pub(super) clock: AnyClock,
    pub(super) budget: Budget,
    pub(super) begun: bool,
}

impl<V: Value> Unsettled<V> {
    /// Does `task`, within its budget and no more time than this thread has for
    /// it.
    pub(super) fn fetch<S: Source<Value = V>>(
        mut self,
        source: &S,
        task: &SharedTask<V>,
        forced: bool,
        waits: u32,
    ) -> Result<V, Error> {
        self.begun = true;
        let (since, now) = (task.since(), self.clock.now());
        let whole = Budget::new(since, task.budget()).left(now);
        // A part of another operation has no more time than that.
        let given = under_way::left(whole, now);
        let hurried = under_way::is_hurried(given, whole);
        if hurried {
            task.set_hurried();
        }
        let context = FetchContext {
            began: since.earlier(whole - given),
            forced,
            waits,
        };
        let span = events::refresh(S::WHAT, forced);
        let end = Budget::new(now, given);
        let outcome = under_way::within(&end, || source.fetch(&context));
        events::refreshed(span, outcome.as_ref().err());
        self.settle(&outcome, hurried);
        outcome
    }

    /// Takes note of the outcome; `hurried`: it had less time than other callers
    /// have.
    fn settle(&mut self, outcome: &Result<V, Error>, hurried: bool) {
        if let Some(id) = self.id.take() {
            let (now, jitter) = (self.clock.now(), self.clock.jitter());
            match outcome {
                Err(error) if hurried && error.is_retryable() => self.refreshes.hurried(id),
                _ => self.refreshes.settle(id, now, outcome, jitter),
            }
        }
    }
}

impl<V: Value> Drop for Unsettled<V> {
    fn drop(&mut self) {
        if self.begun {
            self.settle(&Err(ended::panicked()), false);
        } else if let Some(id) = self.id.take() {
            let now = self.clock.now();
            let error = if self.budget.left(now).is_zero() {
                ended::late()
            } else {
                ended::dropped()
            };
            self.refreshes.undone(id, now, error);
        }
    }
}
