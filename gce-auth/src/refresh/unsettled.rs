//! A refresh is settled however it ends.

use crate::{
    io::clock::AnyClock,
    refresh::{past::TaskId, refreshes::Refreshes, value::Value},
    task::shared_task,
    values::{budget::Budget, error::Error},
};

/// A refresh whose outcome is not known: settled also if its source panics, or the executor drops it.
pub(super) struct Unsettled<V: Value> {
    pub(super) refreshes: Refreshes<V>,
    pub(super) id: Option<TaskId>,
    pub(super) clock: AnyClock,
    pub(super) budget: Budget,
    pub(super) begun: bool,
    /// Whether it has less time than other callers have.
    pub(super) is_hasty: bool,
}

impl<V: Value> Unsettled<V> {
    /// Takes note of the outcome.
    pub(super) fn settle(&mut self, outcome: &Result<V, Error>) {
        if let Some(id) = self.id.take() {
            let (now, jitter) = (self.clock.now(), self.clock.jitter());
            match outcome {
                Err(error) if self.is_hasty && error.is_retryable() => {
                    self.refreshes.inconclusive(id, now, error.clone());
                }
                _ => self.refreshes.settle(id, now, outcome, jitter),
            }
        }
    }
}

impl<V: Value> Drop for Unsettled<V> {
    fn drop(&mut self) {
        if self.begun {
            self.settle(&Err(shared_task::panicked()));
        } else if let Some(id) = self.id.take() {
            let now = self.clock.now();
            let error = if self.budget.left(now).is_zero() {
                shared_task::late()
            } else {
                shared_task::dropped()
            };
            self.refreshes.inconclusive(id, now, error);
        }
    }
}
