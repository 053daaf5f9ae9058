//! Who runs the work that nobody's own thread should: at most eight
//! short-lived threads, shared by the whole process.

use std::{
    fmt, mem,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread,
    time::Duration,
};

/// Threads at most, the one that is kept for access tokens included.
const THREADS: usize = 8;
/// Enough for TLS and JSON; threads are short-lived and their stacks lazy.
const STACK_BYTES: usize = 512 * 1024;
/// How long a thread without work stays, for a program that asks for one thing
/// after another when it begins. On a busy machine a thread that is woken runs
/// at once, and one that is started when a time slice has passed.
const LINGER: Duration = Duration::from_millis(10);

/// What a piece of work is for; decides which threads may take it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WorkKind {
    /// Fetches an access token. One thread takes nothing else.
    AccessToken,
    /// Everything else that ends within its budget.
    Other,
    /// Lives as long as somebody listens; gets a thread of its own.
    Watch,
}

/// A piece of blocking work that the library wants done.
pub struct Work {
    job: Box<dyn FnOnce() + Send>,
    kind: WorkKind,
    awaited: Awaited,
}

/// Whether somebody waits for a piece of work; may become true at any time.
#[derive(Clone, Debug, Default)]
pub(crate) struct Awaited(Arc<AtomicBool>);

impl Awaited {
    pub(crate) fn set(&self) {
        self.0.store(true, Relaxed);
    }

    fn get(&self) -> bool {
        self.0.load(Relaxed)
    }
}

impl Work {
    pub(crate) fn new(
        kind: WorkKind,
        awaited: Awaited,
        job: impl FnOnce() + Send + 'static,
    ) -> Self {
        Self {
            job: Box::new(job),
            kind,
            awaited,
        }
    }

    /// What the work is for.
    #[must_use]
    pub fn kind(&self) -> WorkKind {
        self.kind
    }

    /// Whether somebody waits for it now. Awaited work goes first.
    #[must_use]
    pub fn is_awaited(&self) -> bool {
        self.awaited.get()
    }

    /// Does the work, on the calling thread; it blocks.
    pub fn run(self) {
        (self.job)();
    }
}

impl fmt::Debug for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Work")
            .field("kind", &self.kind)
            .field("awaited", &self.is_awaited())
            .finish_non_exhaustive()
    }
}

/// Runs blocking work for the library, on threads of the program's choice.
///
/// The library brings an executor of its own: at most eight short-lived
/// threads for the whole process, and none while nothing happens: a thread
/// ends 10 ms after its last piece of work.
///
/// # Examples
/// ```
/// use gce_auth::executor::{Executor, Work};
///
/// /// A thread for each piece of work.
/// #[derive(Debug)]
/// struct Spawn;
///
/// impl Executor for Spawn {
///     fn execute(&self, work: Work) -> Result<(), Work> {
///         std::thread::spawn(move || work.run());
///         Ok(())
///     }
/// }
/// ```
pub trait Executor: Send + Sync + fmt::Debug {
    /// Sees to it that [`Work::run`] is called soon, on a thread that may block.
    /// Work that is dropped instead, as a runtime that shuts down may do, is a
    /// failure for whoever waits for it
    /// ([`Unavailable`](crate::ErrorKind::Unavailable)).
    ///
    /// # Errors
    /// Gives the work back where it cannot be done; the caller then does it
    /// on its own thread.
    fn execute(&self, work: Work) -> Result<(), Work>;
}

/// The library's own threads, and what they are to do.
#[derive(Default)]
struct Threads {
    state: Mutex<State>,
    handed: Condvar,
}

#[derive(Default)]
struct State {
    threads: usize,
    /// Threads that wait for work, but for those that something was handed to.
    idle: usize,
    busy_with_other: usize,
    /// Work for threads that wait.
    handed: Vec<Work>,
    /// Work that waits for a thread.
    queue: Vec<Work>,
}

/// The one executor of this process, unless a program brings its own.
pub(crate) fn shared() -> Arc<dyn Executor> {
    static SHARED: OnceLock<Arc<ThreadExecutor>> = OnceLock::new();
    Arc::clone(SHARED.get_or_init(Arc::default)) as Arc<dyn Executor>
}

/// The threads, and the process that they are of: a fork leaves them behind,
/// and with them whatever lock one of them held.
#[derive(Default)]
struct ThreadExecutor(Mutex<(u32, Arc<Threads>)>);

impl ThreadExecutor {
    fn threads(&self) -> Arc<Threads> {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let process = std::process::id();
        if held.0 != process {
            *held = (process, Arc::default());
        }
        Arc::clone(&held.1)
    }
}

impl fmt::Debug for ThreadExecutor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ThreadExecutor")
    }
}

impl Executor for ThreadExecutor {
    fn execute(&self, work: Work) -> Result<(), Work> {
        if work.kind == WorkKind::Watch {
            return spawn(work, Work::run);
        }
        let threads = self.threads();
        let mut state = threads.lock();
        if !state.has_room_for(work.kind) {
            state.queue.push(work);
            return Ok(());
        }
        state.take(work.kind);
        let Some(work) = state.hand(work) else {
            drop(state);
            threads.handed.notify_one();
            return Ok(());
        };
        state.threads += 1;
        drop(state);
        let serving = Arc::clone(&threads);
        spawn(work, move |work| serving.serve(work)).or_else(|work| threads.not_started(work))
    }
}

/// Starts a thread that does `with(work)`, or gives the work back.
fn spawn(work: Work, with: impl FnOnce(Work) + Send + 'static) -> Result<(), Work> {
    let slot = Arc::new(Mutex::new(Some(work)));
    let taken = Arc::clone(&slot);
    let spawned = thread::Builder::new()
        .name("gce-auth".to_owned())
        .stack_size(STACK_BYTES)
        .spawn(move || {
            let work = taken.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(work) = work {
                with(work);
            }
        });
    match spawned {
        Ok(_) => Ok(()),
        Err(_) => match slot.lock().unwrap_or_else(PoisonError::into_inner).take() {
            Some(work) => Err(work),
            None => Ok(()),
        },
    }
}

impl Threads {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What becomes of work whose thread, which was counted, could not be started.
    fn not_started(&self, work: Work) -> Result<(), Work> {
        let mut state = self.lock();
        state.threads -= 1;
        // One may have come to its end meanwhile, and wait.
        let Some(work) = state.hand(work) else {
            drop(state);
            self.handed.notify_one();
            return Ok(());
        };
        state.release(work.kind);
        if state.threads > 0 {
            // Another thread is at work and will take it; or it cannot be
            // started either, and whoever tries comes here.
            state.queue.push(work);
            return Ok(());
        }
        // What waits for a thread would wait for ever.
        let mut queue = mem::take(&mut state.queue);
        drop(state);
        queue.sort_by_key(|work| !work.is_awaited());
        for work in queue {
            let _ = catch_unwind(AssertUnwindSafe(|| work.run()));
        }
        Err(work)
    }

    /// Does `work`, then whatever else there is, and ends when there is nothing
    /// for a moment.
    fn serve(&self, work: Work) {
        let mut next = Some(work);
        while let Some(work) = next {
            let kind = work.kind;
            // A flight that panics tells its waiters itself; the thread goes on.
            let _ = catch_unwind(AssertUnwindSafe(|| work.run()));
            let mut state = self.lock();
            state.release(kind);
            next = state.pop();
            if next.is_none() {
                next = self.linger(state);
            }
        }
    }

    /// Waits for work; `None` where none came, and the thread is to end.
    fn linger(&self, mut state: MutexGuard<'_, State>) -> Option<Work> {
        state.idle += 1;
        let (mut state, _) = self
            .handed
            .wait_timeout_while(state, LINGER, |state| state.handed.is_empty())
            .unwrap_or_else(PoisonError::into_inner);
        // Whoever handed something over has counted this thread already.
        let work = state.handed.pop();
        if work.is_none() {
            state.idle -= 1;
            state.threads -= 1;
        }
        work
    }
}

impl State {
    /// Hands work, which is counted, to a thread that waits; gives it back
    /// where none does. Whoever hands over wakes one.
    fn hand(&mut self, work: Work) -> Option<Work> {
        if self.idle == 0 {
            return Some(work);
        }
        self.idle -= 1;
        self.handed.push(work);
        None
    }

    fn has_room_for(&self, kind: WorkKind) -> bool {
        self.threads - self.idle < THREADS && (kind == WorkKind::AccessToken || self.may_do_other())
    }

    fn may_do_other(&self) -> bool {
        self.busy_with_other < THREADS - 1
    }

    fn take(&mut self, kind: WorkKind) {
        if kind != WorkKind::AccessToken {
            self.busy_with_other += 1;
        }
    }

    fn release(&mut self, kind: WorkKind) {
        if kind != WorkKind::AccessToken {
            self.busy_with_other -= 1;
        }
    }

    /// The first awaited piece that a thread may take now, else the first.
    fn pop(&mut self) -> Option<Work> {
        let other = self.may_do_other();
        let may = |work: &Work| other || work.kind == WorkKind::AccessToken;
        let position = self
            .queue
            .iter()
            .position(|work| may(work) && work.is_awaited())
            .or_else(|| self.queue.iter().position(may))?;
        let work = self.queue.remove(position);
        self.take(work.kind);
        Some(work)
    }
}

#[cfg(test)]
mod tests;
