//! One piece of work, shared by any mix of threads and tasks.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::{Arc, Weak},
    task::{Context, Poll, Waker},
    time::Duration,
};

use crate::{
    io::threads::{Awaited, Executor, Work, WorkKind},
    task::sync::{Condvar, Mutex, lock, wait_until},
    values::{
        error::{Error, ErrorKind},
        token::Now,
    },
};

type Outcome<T> = Result<T, Error>;
type Job<T> = Box<dyn FnOnce() -> Outcome<T> + Send>;

/// Work whose outcome many wait for. Whoever gets to it first does it; a
/// waiter that is cancelled takes nothing from the others.
pub(crate) struct SharedTask<T> {
    state: Mutex<State<T>>,
    landed: Condvar,
    pub(crate) started: Now,
    pub(crate) process: u32,
    pub(crate) awaited: Awaited,
}

struct State<T> {
    job: Option<Job<T>>,
    outcome: Option<Outcome<T>>,
    wakers: Vec<Option<Waker>>,
    /// Threads that wait: telling nobody is a system call all the same.
    threads: usize,
}

impl<T: Clone + Send + 'static> SharedTask<T> {
    /// A flight that has not taken off. `job` is given what it is to do, and
    /// is dropped undone if the outcome comes from elsewhere.
    pub(crate) fn new(
        started: Now,
        process: u32,
        job: impl FnOnce() -> Outcome<T> + Send + 'static,
    ) -> Self {
        Self {
            state: Mutex::new(State {
                job: Some(Box::new(job)),
                outcome: None,
                wakers: Vec::new(),
                threads: 0,
            }),
            landed: Condvar::new(),
            started,
            process,
            awaited: Awaited::default(),
        }
    }

    /// Hands the flight to the executor, or flies it here.
    pub(crate) fn depart(self: &Arc<Self>, kind: WorkKind, executor: &dyn Executor) {
        if let Err(work) = executor.execute(self.work(kind)) {
            work.run();
        }
    }

    /// The flight as a piece of work. Where nobody holds the flight any more
    /// when its turn comes, nothing is done; where the work is dropped instead,
    /// the flight has ended.
    pub(crate) fn work(self: &Arc<Self>, kind: WorkKind) -> Work {
        let turn = Turn(Arc::downgrade(self));
        Work::new(kind, self.awaited.clone(), move || turn.take())
    }

    /// Does the work on this thread, unless somebody does or did it.
    pub(crate) fn run(&self) {
        let job = lock(&self.state).job.take();
        if let Some(job) = job {
            // If the job panics, its waiters hear of it.
            let landing = Landing(Some(self));
            let outcome = job();
            landing.with(outcome);
        }
    }

    /// Ends the flight if nobody has begun it.
    fn cancel(&self) {
        let job = lock(&self.state).job.take();
        if job.is_some() {
            drop(job);
            self.land(Err(dropped()));
        }
    }

    /// Ends the flight, for all its waiters, unless it has ended.
    pub(crate) fn land(&self, outcome: Outcome<T>) {
        let (wakers, job, threads) = {
            let mut state = lock(&self.state);
            if state.outcome.is_some() {
                return;
            }
            state.outcome = Some(outcome);
            let wakers = std::mem::take(&mut state.wakers);
            (wakers, state.job.take(), state.threads)
        };
        if threads > 0 {
            self.landed.notify_all();
        }
        drop(job);
        for waker in wakers.into_iter().flatten() {
            waker.wake();
        }
    }

    /// Does the work here if nobody began, else waits for whoever did: at most
    /// for `limit`.
    pub(crate) fn blocking_outcome(&self, limit: Duration) -> Outcome<T> {
        self.run();
        self.wait(limit)
    }

    pub(crate) fn has_landed(&self) -> bool {
        lock(&self.state).outcome.is_some()
    }

    /// The outcome, as a future that belongs to no runtime.
    pub(crate) fn outcome(self: &Arc<Self>) -> Landed<T> {
        self.awaited.set();
        Landed {
            flight: Arc::clone(self),
            seat: None,
        }
    }

    /// The outcome, from whoever does the work: at most for `limit`.
    pub(crate) fn wait(&self, limit: Duration) -> Outcome<T> {
        self.awaited.set();
        let mut state = lock(&self.state);
        state.threads += 1;
        let mut state = wait_until(&self.landed, state, limit, |state| state.outcome.is_some());
        state.threads -= 1;
        state.outcome.clone().unwrap_or_else(|| Err(late()))
    }
}

/// The error of a flight that took longer than it may.
pub(crate) fn late() -> Error {
    Error::new(
        ErrorKind::Timeout,
        "the request did not end within its budget",
    )
}

/// The error of a flight whose transport, or other code of the program's,
/// panicked.
pub(crate) fn panicked() -> Error {
    Error::new(
        ErrorKind::Unavailable,
        "the code that carries requests panicked",
    )
    .with_hint("look for the panic message of the program's own Transport")
}

/// The error of a flight that an executor took and did not let take off.
pub(crate) fn dropped() -> Error {
    Error::new(
        ErrorKind::Unavailable,
        "the executor dropped the request unsent",
    )
    .with_hint("does the program's own Executor belong to a runtime that was shut down?")
}

impl<T> fmt::Debug for SharedTask<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedTask")
            .field("started", &self.started)
            .finish_non_exhaustive()
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
        let flight = self.0.upgrade();
        // A forked child drops what its parent's threads will do.
        if let Some(flight) = flight.filter(|it| it.process == std::process::id()) {
            flight.cancel();
        }
    }
}

/// A seat on a flight: resolves when it lands, and gives the seat back when
/// dropped. There are as many seats as reach to the last one that is taken.
pub(crate) struct Landed<T> {
    flight: Arc<SharedTask<T>>,
    seat: Option<usize>,
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

impl<T> fmt::Debug for Landed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Landed")
    }
}

#[cfg(all(test, gce_auth_loom))]
mod model;
#[cfg(all(test, not(gce_auth_loom)))]
mod tests;
