//! For the simulation of a whole process: threads of which one runs at a time.
//! A thread that holds a baton passes it on wherever it would wait.

use std::{cell::RefCell, sync::Arc, time::Duration};

use crate::io::threads::Work;

/// Decides which thread of a simulated process runs.
pub trait Baton {
    /// Waits until something may have changed, at most for `limit`; returns how
    /// long that took.
    fn wait(&self, limit: Duration) -> Duration;

    /// Lets another thread run, such as the one that holds a lock.
    fn pass(&self);

    /// Notes that those who wait are to look again.
    fn notify(&self);

    /// Has `ring` called `limit` from now.
    fn alarm(&self, limit: Duration, ring: Box<dyn FnOnce() + Send>);

    /// Starts a thread of the process that does `run(work)`; gives the work back
    /// if there are too many.
    fn spawn(&self, work: Work, run: Box<dyn FnOnce(Work) + Send>) -> Result<(), Work>;

    /// Returns how many threads of the library one origin may have, and all of
    /// them together.
    fn threads(&self) -> (usize, usize);
}

thread_local! {
    static BATON: RefCell<Option<Arc<dyn Baton>>> = const { RefCell::new(None) };
}

/// Makes this thread one of a simulated process, or no longer.
pub fn install(baton: Option<Arc<dyn Baton>>) {
    BATON.with(|held| *held.borrow_mut() = baton);
}

/// Returns this thread's baton, if it is simulated.
pub(crate) fn held() -> Option<Arc<dyn Baton>> {
    BATON.try_with(|held| held.borrow().clone()).ok().flatten()
}
