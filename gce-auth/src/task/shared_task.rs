//! One piece of work, shared by any mix of threads and tasks.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Weak},
    task::{Context, Poll, Waker},
    time::Duration,
};

use crate::{
    io::threads::{Executor, LaneKey, Progress, Work, WorkKind},
    task::{
        ended::{dropped, late, panicked},
        sync::{Condvar, Mutex, lock, notify_all, wait_until},
        timer::{Alarm, PAUSE},
        under_way,
    },
    values::{
        budget::Budget,
        error::{Error, ErrorKind},
        token::Now,
    },
};

/// After its budget a task has this long to end by itself, with an error that
/// says more than that it is late.
pub(crate) const SLACK: Duration = Duration::from_secs(1);

type Outcome<T> = Result<T, Error>;
type Job<T> = Box<dyn FnOnce(&SharedTask<T>) -> Outcome<T> + Send>;

/// Work whose outcome many wait for. The first thread that gets to it does it; a
/// waiter that is cancelled takes nothing from the others.
pub(crate) struct SharedTask<T> {
    state: Mutex<State<T>>,
    landed: Condvar,
    pub(crate) started: Now,
    pub(crate) process: u32,
    budget: Duration,
    progress: Progress,
}

struct State<T> {
    job: Option<Job<T>>,
    outcome: Option<Outcome<T>>,
    wakers: Vec<Option<Waker>>,
    /// Threads that wait: a notification is a system call, also without any.
    threads: usize,
    /// When the budget began to run.
    since: Now,
    /// Whether it ended and no thread had begun it.
    undone: bool,
    /// Whether it was done in less time than its budget.
    hurried: bool,
}

impl<T: Clone + Send + 'static> SharedTask<T> {
    /// Returns a task that has not begun. `job` is dropped undone if the outcome
    /// comes from elsewhere; it is given the task, and ends
    /// within `budget`, counted from [`since`](Self::since).
    pub(crate) fn new(
        started: Now,
        budget: Duration,
        process: u32,
        job: impl FnOnce(&Self) -> Outcome<T> + Send + 'static,
    ) -> Self {
        Self {
            state: Mutex::new(State {
                job: Some(Box::new(job)),
                outcome: None,
                wakers: Vec::new(),
                threads: 0,
                since: started,
                undone: false,
                hurried: false,
            }),
            landed: Condvar::new(),
            started,
            process,
            budget,
            progress: Progress::default(),
        }
    }

    /// Hands the task to `executor`, or runs it here if that gives it back: as a
    /// part of the operation that has `budget`, if there is one. Returns whether
    /// it ran here, which took its time.
    pub(crate) fn depart(
        self: &Arc<Self>,
        kind: WorkKind,
        lane: &LaneKey,
        executor: &dyn Executor,
        budget: Option<&Budget>,
    ) -> bool {
        // The executor is code of the program, and may run the work at once.
        let work = under_way::outside(|| executor.execute(self.work(kind, lane)));
        let Err(work) = work else {
            return false;
        };
        match budget {
            Some(budget) => under_way::within(budget, || work.run()),
            None => work.run(),
        }
        true
    }

    /// Returns the task as a piece of work. If all callers have gone when its
    /// turn comes, nothing is done; if it is dropped instead, the task has
    /// ended.
    pub(crate) fn work(self: &Arc<Self>, kind: WorkKind, lane: &LaneKey) -> Work {
        let turn = Turn(Arc::downgrade(self));
        let progress = self.progress.clone();
        Work::new(kind, lane.clone(), progress, move || turn.take())
    }

    /// Has the budget run from `now` on, unless a thread has begun or is about
    /// to: a caller that joins has a whole budget, whatever the queue took of
    /// the others'.
    pub(crate) fn restart_budget(&self, now: Now) {
        let mut state = lock(&self.state);
        if state.job.is_some() && !self.progress.is_assigned() {
            state.since = now;
        }
    }

    pub(crate) fn budget(&self) -> Duration {
        self.budget
    }

    /// Returns when the budget began to run.
    pub(crate) fn since(&self) -> Now {
        lock(&self.state).since
    }

    /// Whether its time was over before a thread began it: that says nothing to
    /// a caller that has time left.
    pub(crate) fn expired_undone(&self) -> bool {
        let state = lock(&self.state);
        let is_late = |outcome: &Outcome<T>| {
            outcome
                .as_ref()
                .is_err_and(|error| error.kind() == ErrorKind::Timeout)
        };
        state.undone && state.outcome.as_ref().is_some_and(is_late)
    }

    /// Notes that it is done in less time than its budget.
    pub(crate) fn set_hurried(&self) {
        lock(&self.state).hurried = true;
    }

    /// Whether it was done in less time than its budget: a failure then says
    /// nothing to a caller that has more.
    pub(crate) fn was_hurried(&self) -> bool {
        lock(&self.state).hurried
    }

    /// Whether a thread has begun it, or its outcome is there.
    pub(crate) fn has_begun(&self) -> bool {
        lock(&self.state).job.is_none()
    }

    /// Does the work on this thread, unless another does or did it; returns
    /// whether it was done here.
    pub(crate) fn run(&self) -> bool {
        let job = lock(&self.state).job.take();
        let Some(job) = job else {
            return false;
        };
        // If the job panics, its waiters hear of it.
        let landing = Landing(Some(self));
        let outcome = job(self);
        landing.with(outcome);
        true
    }

    /// Ends the task with `error` if it has not begun.
    fn cancel(&self, error: Error) {
        let job = {
            let mut state = lock(&self.state);
            state.undone |= state.job.is_some();
            state.job.take()
        };
        if job.is_some() {
            drop(job);
            self.land(Err(error));
        }
    }

    /// What a caller gets that has waited for `limit`: as much as the task has,
    /// it ends for all if it has not begun.
    fn give_up(&self, limit: Duration) -> Outcome<T> {
        if limit >= self.budget {
            self.cancel(late());
        }
        let outcome = lock(&self.state).outcome.clone();
        outcome.unwrap_or_else(|| Err(late()))
    }

    /// Ends the flight, for all its waiters, unless it has ended.
    pub(crate) fn land(&self, outcome: Outcome<T>) {
        let (wakers, job, threads) = {
            let mut state = lock(&self.state);
            if state.outcome.is_some() {
                return;
            }
            state.outcome = Some(outcome);
            state.undone |= state.job.is_some();
            let wakers = std::mem::take(&mut state.wakers);
            (wakers, state.job.take(), state.threads)
        };
        if threads > 0 {
            notify_all(&self.landed);
        }
        drop(job);
        for waker in wakers.into_iter().flatten() {
            waker.wake();
        }
    }

    /// Runs the task here if it has not begun, else waits for its outcome: for
    /// `limit` and some slack.
    pub(crate) fn blocking_outcome(&self, limit: Duration) -> Outcome<T> {
        self.run();
        self.wait(limit)
    }

    pub(crate) fn has_landed(&self) -> bool {
        lock(&self.state).outcome.is_some()
    }

    /// Returns the outcome, as a future that belongs to no runtime; a timeout
    /// after `limit` and some slack. For a caller that is there from the start.
    pub(crate) fn outcome(self: &Arc<Self>, limit: Duration) -> Landed<T> {
        self.outcome_from(self.started, limit)
    }

    /// [`outcome`](Self::outcome) for a caller that joins at `now`.
    pub(crate) fn outcome_from(self: &Arc<Self>, now: Now, limit: Duration) -> Landed<T> {
        self.progress.set_awaited();
        Landed {
            flight: Arc::clone(self),
            seat: None,
            limit,
            from_start: now.boot.saturating_sub(self.started.boot) <= PAUSE,
            alarm: None,
        }
    }

    /// Returns the outcome, which another thread brings; a timeout after
    /// `limit` and some slack.
    pub(crate) fn wait(&self, limit: Duration) -> Outcome<T> {
        let outcome = self.wait_briefly(limit.saturating_add(SLACK));
        outcome.unwrap_or_else(|| self.give_up(limit))
    }

    /// Returns the outcome if it comes within `limit`.
    pub(crate) fn wait_briefly(&self, limit: Duration) -> Option<Outcome<T>> {
        self.progress.set_awaited();
        let mut state = lock(&self.state);
        state.threads += 1;
        let mut state = wait_until(&self.landed, &self.state, state, limit, |state| {
            state.outcome.is_some()
        });
        state.threads -= 1;
        state.outcome.clone()
    }
}

impl<T> Drop for SharedTask<T> {
    fn drop(&mut self) {
        self.progress.set_abandoned();
    }
}

/// Lands a flight whose job panicked.
struct Landing<'a, T: Clone + Send + 'static>(Option<&'a SharedTask<T>>);

impl<T: Clone + Send + 'static> Landing<'_, T> {
    fn with(mut self, outcome: Outcome<T>) {
        if let Some(flight) = self.0.take() {
            flight.land(outcome);
        }
    }
}

impl<T: Clone + Send + 'static> Drop for Landing<'_, T> {
    fn drop(&mut self) {
        if let Some(flight) = self.0.take() {
            flight.land(Err(panicked()));
        }
    }
}

/// A flight's place in the queue of an executor.
struct Turn<T: Clone + Send + 'static>(Weak<SharedTask<T>>);

impl<T: Clone + Send + 'static> Turn<T> {
    fn take(&self) {
        if let Some(flight) = self.0.upgrade() {
            flight.run();
        }
    }
}

impl<T: Clone + Send + 'static> Drop for Turn<T> {
    fn drop(&mut self) {
        let task = self.0.upgrade();
        // A forked child drops what its parent's threads will do.
        if let Some(task) = task.filter(|it| it.process == std::process::id()) {
            task.cancel(dropped());
        }
    }
}

/// A seat on a flight: resolves when it lands, and gives the seat back when
/// dropped. There are as many seats as reach to the last one that is taken.
pub(crate) struct Landed<T> {
    flight: Arc<SharedTask<T>>,
    seat: Option<usize>,
    limit: Duration,
    /// Whether the task can have paused only during this wait. A request that a pause cuts is
    /// sent again, with its whole time: a caller that joins after the pause would wait for longer
    /// than its own budget.
    from_start: bool,
    alarm: Option<Alarm>,
}

impl<T: Clone + Send + 'static> Future for Landed<T> {
    type Output = Outcome<T>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let mut state = lock(&this.flight.state);
        if let Some(outcome) = &state.outcome {
            return Poll::Ready(outcome.clone());
        }
        let waker = context.waker();
        match this.seat {
            Some(seat) => {
                if let Some(held) = state.wakers.get_mut(seat) {
                    match held {
                        Some(held) => held.clone_from(waker),
                        None => *held = Some(waker.clone()),
                    }
                }
            }
            None => {
                this.seat = Some(state.wakers.len());
                state.wakers.push(Some(waker.clone()));
            }
        }
        // A task that runs ends by itself within its budget, which may be that
        // of a caller that came later.
        let runs = (state.job.is_none() || this.flight.progress.is_assigned())
            && state.since == this.flight.started;
        drop(state);
        let ends_in_time = runs && this.from_start && this.limit >= this.flight.budget;
        if this.limit == Duration::MAX || ends_in_time {
            return Poll::Pending;
        }
        let limit = this.limit.saturating_add(SLACK);
        let alarm = this.alarm.get_or_insert_with(|| Alarm::after(limit));
        if alarm.has_rung(waker) {
            return Poll::Ready(this.flight.give_up(this.limit));
        }
        Poll::Pending
    }
}

impl<T> Drop for Landed<T> {
    fn drop(&mut self) {
        if let Some(seat) = self.seat {
            let mut state = lock(&self.flight.state);
            let wakers = &mut state.wakers;
            let waker = wakers.get_mut(seat).and_then(Option::take);
            while matches!(wakers.last(), Some(None)) {
                wakers.pop();
            }
            drop(state);
            drop(waker);
        }
    }
}

#[cfg(all(test, gce_auth_loom))]
mod model;
#[cfg(all(test, not(gce_auth_loom)))]
mod tests;
