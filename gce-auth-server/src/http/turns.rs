//! Turns: where one thread serves all, costly steps of many connections begin one after the other,
//! and between two of them everything else that is ready goes first.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::Poll,
    time::Duration,
};

use tokio::{
    runtime::{Handle, RuntimeFlavor},
    sync::{Semaphore, SemaphorePermit},
    time::Instant,
};

/// A request that took less may be followed by one that takes no turn.
const CHEAP: Duration = Duration::from_micros(500);
/// So many clients that waited for the same change are answered in one turn.
const WOKEN_AT_ONCE: usize = 32;

/// The turns of one server.
#[derive(Debug)]
pub(super) struct Turns {
    /// `None` where several threads serve: a costly step holds up one of them.
    requests: Option<Semaphore>,
    woken: Option<Semaphore>,
    /// For answers that leave in pieces.
    pub(super) pieces: Arc<Semaphore>,
}

impl Turns {
    pub(super) fn new() -> Self {
        let one = Handle::current().runtime_flavor() == RuntimeFlavor::CurrentThread;
        Self {
            requests: one.then(|| Semaphore::new(1)),
            woken: one.then(|| Semaphore::new(WOKEN_AT_ONCE)),
            pieces: Arc::new(Semaphore::new(1)),
        }
    }

    /// Waits for the turn of a request. It ends when the permit is dropped, which must not outlive
    /// one poll.
    pub(super) async fn request(&self) -> Option<SemaphorePermit<'_>> {
        turn(self.requests.as_ref()).await
    }

    /// Waits for the turn of an answer that had to be waited for.
    pub(super) async fn woken(&self) -> Option<SemaphorePermit<'_>> {
        turn(self.woken.as_ref()).await
    }

    /// Polls a future in turns alone.
    pub(super) async fn run<F: Future>(&self, future: F) -> F::Output {
        let mut future = pin!(future);
        loop {
            let turn = self.request().await;
            let polled = poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await;
            if let Poll::Ready(output) = polled {
                return output;
            }
            drop(turn);
            // Until the future wakes this task.
            let mut woken = false;
            poll_fn(|_| match std::mem::replace(&mut woken, true) {
                true => Poll::Ready(()),
                false => Poll::Pending,
            })
            .await;
        }
    }
}

/// Begins once all that is ready has had its time: the runtime looks for more before it goes on.
async fn turn(turns: Option<&Semaphore>) -> Option<SemaphorePermit<'_>> {
    // They are never closed.
    let permit = turns?.acquire().await.ok();
    tokio::task::yield_now().await;
    permit
}

/// Whether the next request of a connection needs a turn: the first one does, and each behind one
/// that was costly.
#[derive(Debug, Default)]
pub(super) struct Credit {
    given: AtomicBool,
    served: AtomicUsize,
}

impl Credit {
    pub(super) fn is_given(&self) -> bool {
        self.given.load(Ordering::Relaxed)
    }

    /// Gives it for as long as a turn lasts.
    pub(super) fn set(&self, given: bool) {
        self.given.store(given, Ordering::Relaxed);
    }

    /// Takes it. False if there was none.
    pub(super) fn take(&self) -> bool {
        self.given.swap(false, Ordering::Relaxed)
    }

    /// Notes that a request was served, or begun to be.
    pub(super) fn served(&self) {
        self.served.fetch_add(1, Ordering::Relaxed);
    }

    /// Polls a connection. If it serves a request in short, the next one needs no turn.
    pub(super) fn poll<T>(&self, poll: impl FnOnce() -> T) -> T {
        let (served, began) = (self.served.load(Ordering::Relaxed), Instant::now());
        let polled = poll();
        if self.served.load(Ordering::Relaxed) != served {
            self.set(began.elapsed() < CHEAP);
        }
        polled
    }
}
