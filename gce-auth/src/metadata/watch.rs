//! Watching a place of the tree: each of its changes, as it happens.

use std::{fmt, iter, sync::Arc, time::Duration};

use crate::{
    client::{config::MetadataClient, metadata::let_go},
    io::{interrupt::Interrupt, threads::WorkKind},
    metadata::{
        change::MetadataChange,
        poll::{Poll, Target},
    },
    task::shared_task::SharedTask,
    values::error::{Error, ErrorKind},
};

/// How long a server is asked to hold a request, as Google's guest agent does.
const HOLD: Duration = Duration::from_secs(60);

/// Watches a path of the metadata tree: returns its value, then each change.
///
/// The first [`next`](Self::next) returns the current value. Each later one waits
/// for the next change, with `wait_for_change` (Google, "View and query VM
/// metadata"). Changes between two calls may be reported as one, and a value that
/// changes back is not reported; the last value is never missed. Deletion is a
/// change to no value, after which the watch continues. A path that does not exist
/// is requested every few seconds.
///
/// After the first answer, an outage neither ends the watch nor shows in it: the
/// request is repeated, with the waits of the client's
/// [retry policy](crate::RetryPolicy::longest_wait), until the server answers. Any
/// other failure is an error of `next`. The watch stays usable, and the `next`
/// after an error waits before it sends a request.
///
/// While an async `next` waits, and after it was cancelled, the watch has a thread
/// of its own; a blocking one runs on the caller's thread. Dropping the watch
/// closes the connection and ends the thread.
///
/// # Examples
/// ```no_run
/// # async fn call(client: gce_auth::MetadataClient) -> Result<(), gce_auth::Error> {
/// let mut event = client.watch("instance/maintenance-event");
/// loop {
///     let change = event.next().await?;
///     if change.text().is_some_and(|event| event != "NONE") {
///         println!("this machine is about to move or to stop");
///     }
/// }
/// # }
/// ```
#[must_use = "a watch does nothing until it is asked for what is next"]
pub struct Watch {
    target: Target,
    known: Option<MetadataChange>,
    etag: Option<String>,
    failed: u32,
    asked: Option<Duration>,
    under_way: Option<UnderWay>,
}

/// The wait for the next change.
struct UnderWay {
    flight: Arc<SharedTask<MetadataChange>>,
    interrupt: Interrupt,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        if self.flight.process == std::process::id() {
            self.interrupt.raise();
            self.flight.land(Err(let_go()));
        }
    }
}

impl MetadataClient {
    /// Watches what is at `path`, which is written as it stands below
    /// `computeMetadata/v1/`. One that ends in a slash is a directory, and is
    /// watched with all below it. Nothing is asked before the first
    /// [`next`](Watch::next).
    ///
    /// # Examples
    /// ```no_run
    /// # fn main() -> Result<(), gce_auth::Error> {
    /// let client = gce_auth::MetadataClient::new();
    /// for change in client.watch("instance/attributes/").blocking_iter() {
    ///     println!("{}", change?.text().unwrap_or("deleted"));
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn watch(&self, path: impl Into<String>) -> Watch {
        Watch {
            target: Target {
                client: self.clone(),
                path: path.into(),
                recursive: false,
                hold: HOLD,
            },
            known: None,
            etag: None,
            failed: 0,
            asked: None,
            under_way: None,
        }
    }
}

impl Watch {
    /// Sets whether all that is below the path is watched, as one JSON document
    /// (`recursive=true`). Default: for a path that ends in a slash.
    pub fn recursive(mut self, recursive: bool) -> Self {
        self.target.recursive = recursive;
        self
    }

    /// Begins after the version with this [etag](MetadataChange::etag), which
    /// an earlier watch has seen: the first [`next`](Self::next) waits if it is
    /// the current one.
    pub fn last_etag(mut self, etag: impl Into<String>) -> Self {
        self.etag = Some(etag.into());
        self
    }

    /// Sets for how long the server is to hold a request while nothing changes
    /// (`timeout_sec`, in whole seconds, at least one). Default: 60 s.
    /// A dead connection is noticed 10 s later. To wait for that
    /// long is no failure, and the next request follows at once.
    pub fn hold(mut self, time: Duration) -> Self {
        self.target.hold = Duration::from_secs(time.as_secs().max(1));
        self
    }

    /// Waits for the next change; the first time, gives what is there.
    ///
    /// # Errors
    /// For the first value as for [`get`](MetadataClient::get), but that a
    /// missing one is none. Later only what does not pass by itself:
    /// [`Forbidden`](ErrorKind::Forbidden);
    /// [`NotMetadataServer`](ErrorKind::NotMetadataServer);
    /// [`InvalidResponse`](ErrorKind::InvalidResponse), also for a directory
    /// whose path ends in no slash. [`Config`](ErrorKind::Config) for a path
    /// that cannot be one, or leads to a token.
    /// [`Unavailable`](ErrorKind::Unavailable) where no thread can be started,
    /// or the program's own executor drops the work.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing: the watch goes on waiting, and the
    /// change is given to the next call.
    pub async fn next(&mut self) -> Result<MetadataChange, Error> {
        let outcome = self.started().outcome(Duration::MAX).await;
        self.learn(outcome)
    }

    /// [`next`](Self::next), waiting on this thread.
    ///
    /// # Errors
    /// As for [`next`](Self::next).
    pub fn blocking_next(&mut self) -> Result<MetadataChange, Error> {
        let (flight, _) = self.begun();
        let outcome = flight.blocking_outcome(Duration::MAX);
        self.learn(outcome)
    }

    /// [`next`](Self::next), waiting on this thread for at most `limit`; `None`
    /// where nothing came by then, which loses nothing.
    ///
    /// # Errors
    /// As for [`next`](Self::next).
    pub fn blocking_next_within(
        &mut self,
        limit: Duration,
    ) -> Result<Option<MetadataChange>, Error> {
        match self.started().wait_briefly(limit) {
            Some(outcome) => self.learn(outcome).map(Some),
            None => Ok(None),
        }
    }

    /// Returns what is there, then each change, without end; waits on this thread. An
    /// error is an item, and not the last one.
    pub fn blocking_iter(
        &mut self,
    ) -> impl Iterator<Item = Result<MetadataChange, Error>> + use<'_> {
        iter::repeat_with(|| self.blocking_next())
    }

    /// The wait for the next change, and whether it is a new one, which no
    /// caller does yet.
    fn begun(&mut self) -> (Arc<SharedTask<MetadataChange>>, bool) {
        let process = std::process::id();
        if let Some(under_way) = &self.under_way {
            // A child process does not go on with what was begun before its fork.
            if under_way.flight.process == process {
                return (Arc::clone(&under_way.flight), false);
            }
        }
        let interrupt = Interrupt::new();
        let poll = Poll {
            target: self.target.clone(),
            interrupt: interrupt.clone(),
            known: self.known.clone(),
            etag: self.etag.clone(),
            failed: self.failed,
            asked: self.asked,
        };
        let now = self.target.client.0.clock.now();
        let flight = Arc::new(SharedTask::new(now, Duration::MAX, process, move |_| {
            poll.run()
        }));
        self.under_way = Some(UnderWay {
            flight: Arc::clone(&flight),
            interrupt,
        });
        (flight, true)
    }

    /// The wait for the next change, which one of the callers does.
    fn started(&mut self) -> Arc<SharedTask<MetadataChange>> {
        let (flight, is_new) = self.begun();
        if is_new {
            let config = &self.target.client.0;
            let work = flight.work(WorkKind::Watch, &config.lane);
            if let Err(work) = config.executor.execute(work) {
                // It may have no end, and must not be done inside of a poll.
                flight.land(Err(no_thread()));
                drop(work);
            }
        }
        flight
    }

    /// What the wait came to, which is then over.
    fn learn(&mut self, outcome: Result<MetadataChange, Error>) -> Result<MetadataChange, Error> {
        self.under_way = None;
        match &outcome {
            Ok(change) => {
                self.etag = change.etag().map(str::to_owned);
                self.known = Some(change.clone());
                (self.failed, self.asked) = (0, None);
            }
            Err(error) => {
                self.failed = self.failed.saturating_add(1);
                self.asked = error.retry_after();
            }
        }
        outcome
    }
}

fn no_thread() -> Error {
    Error::new(
        ErrorKind::Unavailable,
        "no thread could be started to wait for a change",
    )
    .with_hint("call blocking_next on a thread that may wait, or make sure that one can start")
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch")
            .field("path", &self.target.path)
            .field("recursive", &self.target.recursive)
            .field("etag", &self.etag)
            .field("waits", &self.under_way.is_some())
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, not(gce_auth_loom)))]
mod tests;
