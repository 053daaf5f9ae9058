//! Blocking work for callers that wait for a future.

use std::{sync::Arc, time::Duration};

use crate::{
    io::{
        clock::Clock,
        threads::{Executor, LaneKey, WorkKind},
    },
    task::{shared_task::SharedTask, under_way},
    values::{budget::Budget, error::Error},
};

/// Where blocking work is done, and how long it may take.
pub(crate) struct Background<'a> {
    pub(crate) kind: WorkKind,
    pub(crate) lane: &'a LaneKey,
    pub(crate) executor: &'a dyn Executor,
    pub(crate) clock: &'a dyn Clock,
    pub(crate) budget: Duration,
}

impl Background<'_> {
    /// Does `work` off the caller's thread, and waits for it as a future that
    /// belongs to no runtime. `work` is given the budget, which has run since
    /// this was called. Work that is cancelled before a thread takes it is not
    /// done.
    pub(crate) async fn run<T: Clone + Send + 'static>(
        self,
        work: impl FnOnce(Budget) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let now = self.clock.now();
        let budget = Budget::new(now, self.budget);
        let process = std::process::id();
        let task = Arc::new(SharedTask::new(now, self.budget, process, move |_| {
            under_way::within(&budget.clone(), || work(budget))
        }));
        let outcome = task.outcome(self.budget);
        task.depart(self.kind, self.lane, self.executor, None);
        drop(task);
        outcome.await
    }
}
