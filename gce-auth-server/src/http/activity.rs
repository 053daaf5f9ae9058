//! Whether a connection is still of use: one on which nothing is asked and nothing answered for
//! long is closed.
//!
//! hyper has a limit for the head of a request, but sets a timer anew for each. Here one does for a
//! connection.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

/// What a connection has done so far, and what it does.
#[derive(Debug, Default)]
pub(super) struct Activity {
    begun: AtomicUsize,
    under_way: AtomicUsize,
    /// Whether the last read had to wait.
    read_all: AtomicBool,
    /// Whether something was written since the last flush.
    unflushed: AtomicBool,
    /// Whether a body was not read to its end.
    cut_body: AtomicBool,
}

impl Activity {
    /// A request begins. It ends when the guard is dropped.
    pub(super) fn begin(self: &Arc<Self>) -> Busy {
        self.begun.fetch_add(1, Ordering::Relaxed);
        self.under_way.fetch_add(1, Ordering::Relaxed);
        Busy(Arc::clone(self))
    }

    /// Returns whether a request was ever begun.
    pub(super) fn is_used(&self) -> bool {
        self.begun() != 0
    }

    /// Returns how many requests were begun.
    pub(super) fn begun(&self) -> usize {
        self.begun.load(Ordering::Relaxed)
    }

    /// Notes whether a read found all that had come.
    pub(super) fn read_all(&self, all: bool) {
        self.read_all.store(all, Ordering::Relaxed);
    }

    /// Notes whether all that was written has left.
    pub(super) fn flushed(&self, flushed: bool) {
        self.unflushed.store(!flushed, Ordering::Relaxed);
    }

    /// Returns whether nothing is to be done before the client sends more.
    pub(super) fn rests(&self) -> bool {
        self.under_way.load(Ordering::Relaxed) == 0
            && self.read_all.load(Ordering::Relaxed)
            && !self.unflushed.load(Ordering::Relaxed)
            && !self.cut_body.load(Ordering::Relaxed)
    }

    /// Returns when between the ends of two waits no request was begun, and none is under way.
    pub(super) async fn idle(&self, wait: impl AsyncFn()) {
        let mut seen = None;
        loop {
            let begun = self.begun.load(Ordering::Relaxed);
            if self.under_way.load(Ordering::Relaxed) == 0 && seen == Some(begun) {
                return;
            }
            seen = Some(begun);
            wait().await;
        }
    }
}

/// A request under way, to the last of its answer's body.
#[derive(Debug)]
pub(super) struct Busy(Arc<Activity>);

impl Busy {
    /// Notes that the body of the request is not read to its end.
    pub(super) fn cut_body(&self) {
        self.0.cut_body.store(true, Ordering::Relaxed);
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};

    use super::*;

    #[test]
    fn a_connection_rests_when_all_is_read_and_all_has_left() {
        let activity = Arc::new(Activity::default());
        assert!(!activity.rests());
        activity.read_all(true);
        assert!(activity.rests());
        let busy = activity.begin();
        assert!(!activity.rests());
        activity.flushed(false);
        drop(busy);
        assert!(!activity.rests());
        activity.flushed(true);
        assert!(activity.rests());
        activity.read_all(false);
        assert!(!activity.rests());
        activity.read_all(true);
        activity.begin().cut_body();
        assert!(!activity.rests());
    }

    #[test]
    fn a_connection_is_idle_when_nothing_happened_for_a_while() {
        let activity = Arc::new(Activity::default());
        let (waits, kept) = (Cell::new(0), RefCell::new(None));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        runtime.block_on(activity.idle(async || {
            waits.set(waits.get() + 1);
            match waits.get() {
                // A request that came and went.
                1 => drop(activity.begin()),
                // One that takes long.
                2 => *kept.borrow_mut() = Some(activity.begin()),
                5 => *kept.borrow_mut() = None,
                _ => {}
            }
        }));
        assert_eq!(waits.get(), 5);
        waits.set(10);
        runtime.block_on(activity.idle(async || waits.set(waits.get() + 1)));
        assert_eq!(waits.get(), 11);
    }
}
