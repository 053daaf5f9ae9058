//! Runs blocking work: the program's executor, or threads of the library.

use std::{
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

#[cfg(any(feature = "iam", feature = "verify"))]
use ::http::{Uri, uri::Authority};

use crate::{
    io::{http, spawn, transport::Transport},
    values::address::ByAddress,
};

/// Enough for TLS and JSON; threads are short-lived and their stacks lazy.
const STACK_BYTES: usize = 512 * 1024;

/// What a piece of work is for; decides which threads may take it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WorkKind {
    /// Fetches an access token. One thread of an origin takes nothing else.
    AccessToken,
    /// Everything else that ends within its budget.
    Other,
    /// Lives as long as a caller listens; gets a thread of its own.
    Watch,
}

/// The server that a piece of work asks, and the transport that carries its
/// requests there: trouble at one origin delays nothing at another.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct LaneKey {
    server: Arc<str>,
    /// What has to answer before that server is asked.
    #[cfg(feature = "iam")]
    first: Option<Arc<Self>>,
    /// The program's own transport, which may be slow by itself.
    transport: Option<ByAddress<dyn Transport>>,
}

impl LaneKey {
    /// Returns the origin for `server`, written as `scheme://authority`.
    pub(crate) fn new(server: impl Into<Arc<str>>, transport: &Arc<dyn Transport>) -> Self {
        let own = !Arc::ptr_eq(transport, &http::shared());
        Self {
            server: server.into(),
            #[cfg(feature = "iam")]
            first: None,
            transport: own.then(|| ByAddress::of(transport)),
        }
    }

    /// Returns the lane of work that asks `first`, and then this origin with what came. Trouble of
    /// one of the two does not delay work that asks the other alone.
    #[cfg(feature = "iam")]
    pub(crate) fn after(self, first: &Self) -> Self {
        Self {
            first: Some(Arc::new(first.clone())),
            ..self
        }
    }

    /// Returns the origin of work that asks no server.
    pub(crate) fn nowhere() -> Self {
        Self {
            server: Arc::from(""),
            #[cfg(feature = "iam")]
            first: None,
            transport: None,
        }
    }

    /// Returns the origin of `url`.
    #[cfg(any(feature = "iam", feature = "verify"))]
    pub(crate) fn of(url: &Uri, transport: &Arc<dyn Transport>) -> Self {
        let scheme = url.scheme_str().unwrap_or_default();
        let authority = url.authority().map(Authority::as_str);
        let server = format!("{scheme}://{}", authority.unwrap_or_default());
        Self::new(server, transport)
    }
}

/// A piece of blocking work that the library wants done.
pub struct Work {
    job: Box<dyn FnOnce() + Send>,
    kind: WorkKind,
    lane: LaneKey,
    progress: Progress,
}

/// What happens around a piece of work; shared with those who wait for it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Progress(Arc<Flags>);

#[derive(Debug, Default)]
struct Flags {
    awaited: AtomicBool,
    assigned: AtomicBool,
    abandoned: AtomicBool,
}

impl Progress {
    /// Notes that a caller waits.
    pub(crate) fn set_awaited(&self) {
        self.0.awaited.store(true, Relaxed);
    }

    /// Notes that a thread of the library is about to begin.
    pub(crate) fn set_assigned(&self) {
        self.0.assigned.store(true, Relaxed);
    }

    pub(crate) fn is_assigned(&self) -> bool {
        self.0.assigned.load(Relaxed)
    }

    /// Notes that nothing is left to do: the last caller has gone.
    pub(crate) fn set_abandoned(&self) {
        self.0.abandoned.store(true, Relaxed);
    }
}

impl Work {
    pub(crate) fn new(
        kind: WorkKind,
        lane: LaneKey,
        progress: Progress,
        job: impl FnOnce() + Send + 'static,
    ) -> Self {
        Self {
            job: Box::new(job),
            kind,
            lane,
            progress,
        }
    }

    /// Returns what the work is for.
    #[must_use]
    pub fn kind(&self) -> WorkKind {
        self.kind
    }

    /// Returns the server that the work is for, as `scheme://authority`: the last
    /// one, where the token of another comes first. Work that is for no one server,
    /// such as a search for default credentials or that of a signer of the program,
    /// has a name without `://`, or an empty one. An executor with threads for each
    /// server keeps one that hangs from delaying work for the others.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.lane.server
    }

    /// Returns whether a caller waits for it now. Awaited work goes first.
    #[must_use]
    pub fn is_awaited(&self) -> bool {
        self.progress.0.awaited.load(Relaxed)
    }

    pub(crate) fn lane(&self) -> &LaneKey {
        &self.lane
    }

    pub(crate) fn progress(&self) -> &Progress {
        &self.progress
    }

    /// Whether running it would do nothing.
    pub(crate) fn is_abandoned(&self) -> bool {
        self.progress.0.abandoned.load(Relaxed)
    }

    /// Does the work on the calling thread; blocks.
    pub fn run(self) {
        (self.job)();
    }
}

impl fmt::Debug for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Work")
            .field("kind", &self.kind)
            .field("origin", &self.origin())
            .field("awaited", &self.is_awaited())
            .finish_non_exhaustive()
    }
}

/// Runs blocking work for the library, on threads of the program's choice.
///
/// By default the library runs it on short-lived threads of its own, apart for
/// each server that is asked: at most 32 for one server, of which one takes
/// nothing but access tokens. Beyond 256 threads in all, a server still gets
/// one. A thread ends 10 ms after its last piece of work.
///
/// Callers that wait are answered within their budget whatever the executor
/// does with the work: while they wait for work that has not begun, a timer
/// thread of the library runs, which ends within half a second after the last
/// of them.
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
    /// Has [`Work::run`] called soon, on a thread that may block. Work that is
    /// dropped instead, as a runtime that shuts down may do, is a failure for
    /// its callers ([`Unavailable`](crate::ErrorKind::Unavailable)).
    ///
    /// # Errors
    /// Gives the work back if it cannot be done; the caller then does it on its
    /// own thread.
    fn execute(&self, work: Work) -> Result<(), Work>;
}

/// Starts a thread that does `with(work)`, or gives the work back.
pub(crate) fn spawn<T: Send + 'static>(
    name: &str,
    work: T,
    with: impl FnOnce(T) + Send + 'static,
) -> Result<(), T> {
    let slot = Arc::new(Mutex::new(Some(work)));
    let taken = Arc::clone(&slot);
    let job = move || {
        let work = taken.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(work) = work {
            with(work);
        }
    };
    match spawn::start(name, Some(STACK_BYTES), Box::new(job)) {
        Ok(()) => Ok(()),
        Err(_) => match slot.lock().unwrap_or_else(PoisonError::into_inner).take() {
            Some(work) => Err(work),
            None => Ok(()),
        },
    }
}

#[cfg(all(test, not(gce_auth_loom)))]
mod tests {
    use super::*;

    fn lane(server: &str) -> LaneKey {
        LaneKey::new(server, &http::shared())
    }

    #[test]
    fn work_says_what_it_is_for_and_whether_a_caller_waits() {
        let progress = Progress::default();
        let work = Work::new(WorkKind::Watch, lane("http://h"), progress.clone(), || ());
        assert_eq!((work.kind(), work.origin()), (WorkKind::Watch, "http://h"));
        assert!(!work.is_awaited() && !work.is_abandoned());
        progress.set_awaited();
        progress.set_abandoned();
        assert!(work.is_awaited() && work.is_abandoned());
        assert_eq!(
            format!("{work:?}"),
            r#"Work { kind: Watch, origin: "http://h", awaited: true, .. }"#
        );
    }

    #[test]
    #[cfg(feature = "iam")]
    fn work_that_needs_another_server_first_has_a_lane_of_its_own() {
        let both = lane("http://iam").after(&lane("http://metadata"));
        assert_ne!(both, lane("http://iam"));
        assert_ne!(both, lane("http://iam").after(&lane("http://sts")));
        assert_eq!(both, lane("http://iam").after(&lane("http://metadata")));
        let work = Work::new(WorkKind::Other, both, Progress::default(), || ());
        assert_eq!(work.origin(), "http://iam", "the last one");
    }
}
