//! A value that expires and one way to get it.

use std::{borrow::Cow, sync::Arc, time::Duration};

use crate::{
    io::{
        clock::{AnyClock, Clock},
        threads::Executor,
    },
    refresh::{
        past::TaskId,
        policy::Freshness,
        reader::{Behind, Reader},
        reason::Reason,
        refreshes::{Decision, Refreshes},
        source::{RefreshMode, Source},
        thread_local::PerThread,
        unsettled::Unsettled,
    },
    task::{ended, shared_task::SharedTask, under_way},
    values::{budget::Budget, error::Error, token::Now},
};

/// A value that is kept fresh, together with one source of it.
pub(crate) struct Cache<S: Source> {
    pub(super) reader: Reader<S::Value>,
    pub(super) refreshes: Refreshes<S::Value>,
    pub(super) source: Arc<S>,
    pub(super) clock: AnyClock,
    pub(super) executor: Arc<dyn Executor>,
}

/// What a caller goes on with.
pub(super) enum Next<V> {
    /// Wait for this task, and have it done if it is yours.
    Wait {
        task: Arc<SharedTask<V>>,
        id: TaskId,
        lead: bool,
    },
    /// This is the outcome.
    Done(Result<V, Error>),
}

impl<S: Source> Cache<S> {
    pub(crate) fn new(
        refreshes: Refreshes<S::Value>,
        source: Arc<S>,
        clock: Arc<dyn Clock>,
        executor: Arc<dyn Executor>,
    ) -> Self {
        let clock = AnyClock::of(clock);
        Self {
            reader: Reader::new(Arc::clone(&refreshes.shared), &clock),
            refreshes,
            source,
            clock,
            executor,
        }
    }

    /// [`Reader::cached`], by `reader`, which is this cache's.
    #[inline]
    pub(crate) fn cached<T: PerThread, R>(
        &self,
        reader: &Reader<S::Value>,
        mode: impl Fn() -> RefreshMode,
        show: impl FnOnce(&S::Value) -> T,
        lend: impl FnOnce(Cow<'_, T>) -> R,
        spent: &mut Duration,
    ) -> Option<R> {
        reader.cached(self, mode, show, lend, spent)
    }

    pub(crate) fn reader(&self) -> &Reader<S::Value> {
        &self.reader
    }

    pub(crate) fn refreshes(&self) -> &Refreshes<S::Value> {
        &self.refreshes
    }

    pub(crate) fn clock(&self) -> &AnyClock {
        &self.clock
    }

    pub(crate) fn now(&self) -> Now {
        self.clock.now()
    }

    /// Starts a refresh, unless one is out or has just failed, and waits for
    /// nothing.
    pub(crate) fn start(&self) {
        self.begin(Reason::Need(Freshness::Stale));
    }

    /// Starts a refresh in the background, if one is due and none is out.
    /// Returns how long it took if it was done here: without a free thread the
    /// caller's does it, as for any other work. A value that is never renewed
    /// would be worse.
    pub(crate) fn renew(&self) -> Option<Duration> {
        let now = self.clock.now();
        let here = self.refreshes.renewal_may_be_due(now) && self.begin(Reason::Renew);
        here.then(|| self.clock.now().boot.saturating_sub(now.boot))
    }

    /// Starts a refresh on another thread, if one is due and none is out; where
    /// no thread is free, the next call tries again.
    #[cfg(feature = "iam")]
    pub(crate) fn renew_elsewhere(&self) {
        if let Decision::Lead(task, _) = self.plan(Reason::Renew, self.clock.now()) {
            let work = task.work(self.source.kind(), self.source.lane());
            drop(under_way::outside(|| self.executor.execute(work)));
        }
    }

    /// Starts a forced refresh in the background, unless one is out or has just
    /// failed: also while the value is fresh.
    pub(crate) fn renew_fully(&self) {
        self.begin(Reason::RenewFully);
    }

    /// Returns whether the refresh was done here. A part of an operation that has
    /// less time left than a refresh may take leaves it to the next caller.
    fn begin(&self, why: Reason) -> bool {
        let (now, budget) = (self.clock.now(), self.source.budget());
        let left = under_way::left(budget, now);
        if under_way::is_hurried(left, budget) {
            return false;
        }
        match self.plan(why, now) {
            Decision::Lead(task, _) => self.depart(&task, &Budget::new(now, left)),
            _ => false,
        }
    }

    fn plan(&self, why: Reason, now: Now) -> Decision<S::Value> {
        let total = self.source.budget();
        let process = std::process::id();
        let refreshes = &self.refreshes;
        refreshes.plan(why, now, process, |id, waits| {
            let source = Arc::clone(&self.source);
            let unsettled = Unsettled {
                refreshes: refreshes.clone(),
                id: Some(id),
                clock: self.clock.clone(),
                budget: Budget::new(now, total),
                begun: false,
            };
            let full = why.is_full();
            SharedTask::new(now, total, process, move |task| {
                unsettled.fetch(&*source, task, full, waits)
            })
        })
    }

    /// Decides whether a caller waits, and has the task made if it is the first.
    pub(super) fn next(&self, why: Reason, now: Now) -> Next<S::Value> {
        let (task, id, lead) = match self.plan(why, now) {
            Decision::Join(task, id) => (task, id, false),
            Decision::Lead(task, id) => (task, id, true),
            Decision::Failed(error) => return Next::Done(Err(error)),
            Decision::Have(value) => return Next::Done(Ok(value)),
            // Only renewals have nothing to do.
            Decision::Nothing => return Next::Done(Err(ended::late())),
        };
        Next::Wait { task, id, lead }
    }

    /// Hands a task to the executor, or does it here within `budget`; returns
    /// whether it was done here.
    pub(super) fn depart(&self, task: &Arc<SharedTask<S::Value>>, budget: &Budget) -> bool {
        let (kind, lane) = (self.source.kind(), self.source.lane());
        task.depart(kind, lane, &*self.executor, Some(budget))
    }
}

impl<S: Source> Behind for Cache<S> {
    fn clock(&self) -> &AnyClock {
        &self.clock
    }

    fn renew(&self) -> Option<Duration> {
        Self::renew(self)
    }
}
