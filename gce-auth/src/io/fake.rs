//! A world turned by hand, for tests: a scripted transport, a clock that
//! stands still, work that waits to be done.

use std::{
    collections::VecDeque,
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use http::{Request, Response};

use crate::{
    io::{
        clock::Clock,
        random,
        threads::{Executor, Work},
        transport::{Limits, Transport, TransportError, TransportErrorKind},
    },
    values::token::Now,
};

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a [`ScriptedTransport`] does with a request.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Reply {
    /// An answer with this status, `Metadata-Flavor: Google` and this body.
    Answer(u16, String),
    /// An answer with this status, exactly these headers, and this body.
    Raw(u16, Vec<(String, String)>, String),
    /// No answer, for this reason.
    Broken(TransportErrorKind),
    /// A panic, as in a transport of the program.
    Panic,
}

impl Reply {
    /// Returns an access token that lives for `seconds`.
    #[must_use]
    pub fn token(token: &str, seconds: u64) -> Self {
        Self::Answer(
            200,
            format!(r#"{{"access_token":"{token}","expires_in":{seconds},"token_type":"Bearer"}}"#),
        )
    }

    /// Returns a text value.
    #[must_use]
    pub fn text(text: &str) -> Self {
        Self::Answer(200, text.to_owned())
    }

    /// Returns a failure with this status.
    #[must_use]
    pub fn status(status: u16) -> Self {
        Self::Answer(status, String::new())
    }
}

/// A transport that answers from a script and remembers what it was asked.
///
/// Replies are used one per request; the last one repeats.
///
/// # Examples
/// ```
/// use std::sync::Arc;
/// use gce_auth::{Credentials, MetadataClient, testing::{Reply, ScriptedTransport}};
///
/// # fn main() -> Result<(), gce_auth::Error> {
/// let transport = Arc::new(ScriptedTransport::new([Reply::token("ya29.test", 3600)]));
/// let client = MetadataClient::builder().transport(transport.clone()).build()?;
/// let credentials = Credentials::builder().client(client).build()?;
/// assert_eq!(credentials.blocking_token()?.secret(), "ya29.test");
/// assert_eq!(transport.requests().len(), 1);
/// # Ok(())
/// # }
/// ```
#[derive(Default)]
pub struct ScriptedTransport {
    state: Mutex<Script>,
}

#[derive(Default)]
struct Script {
    replies: VecDeque<Reply>,
    requests: Vec<Request<Vec<u8>>>,
    limits: Vec<Limits>,
}

impl ScriptedTransport {
    /// Returns a transport that gives these replies.
    #[must_use]
    pub fn new(replies: impl IntoIterator<Item = Reply>) -> Self {
        let transport = Self::default();
        transport.script(replies);
        transport
    }

    /// Forgets what was left of the script, and goes on with this one.
    pub fn script(&self, replies: impl IntoIterator<Item = Reply>) {
        lock(&self.state).replies = replies.into_iter().collect();
    }

    /// Returns every request so far, in order.
    #[must_use]
    pub fn requests(&self) -> Vec<Request<Vec<u8>>> {
        lock(&self.state).requests.clone()
    }

    /// Returns the limits that each request was sent with.
    #[must_use]
    pub fn limits(&self) -> Vec<Limits> {
        lock(&self.state).limits.clone()
    }
}

impl Transport for ScriptedTransport {
    #[expect(clippy::panic, reason = "a test asked for it")]
    fn send(
        &self,
        request: Request<Vec<u8>>,
        limits: &Limits,
    ) -> Result<Response<Vec<u8>>, TransportError> {
        let reply = {
            let mut script = lock(&self.state);
            script.requests.push(request);
            script.limits.push(limits.clone());
            if script.replies.len() > 1 {
                script.replies.pop_front()
            } else {
                script.replies.front().cloned()
            }
        };
        let flavor = || vec![("Metadata-Flavor".to_owned(), "Google".to_owned())];
        let (status, headers, body) = match reply {
            Some(Reply::Answer(status, body)) => (status, flavor(), body),
            Some(Reply::Raw(status, headers, body)) => (status, headers, body),
            Some(Reply::Broken(kind)) => {
                return Err(TransportError::new(
                    kind,
                    format!("broken by a script: {kind:?}"),
                ));
            }
            Some(Reply::Panic) => panic!("a scripted panic"),
            None => (404, flavor(), "no reply is scripted".to_owned()),
        };
        let mut response = Response::builder().status(status);
        for (name, value) in headers {
            response = response.header(name, value);
        }
        response.body(body.into_bytes()).map_err(|error| {
            TransportError::new(TransportErrorKind::Protocol, "the script makes no sense")
                .with_source(error)
        })
    }
}

impl fmt::Debug for ScriptedTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let script = lock(&self.state);
        f.debug_struct("ScriptedTransport")
            .field("replies", &script.replies.len())
            .field("requests", &script.requests.len())
            .finish()
    }
}

/// A clock that only `advance` moves.
///
/// Sleeping does not block: it is noted, and moves the clock by its length
/// unless [`frozen`](Self::frozen) was asked for.
#[derive(Debug)]
pub struct HandClock {
    now: Mutex<Now>,
    sleeps: Mutex<Vec<Duration>>,
    jitter: Mutex<VecDeque<f64>>,
    frozen: bool,
}

impl HandClock {
    /// Returns a clock at `unix_seconds`, some time after boot.
    #[must_use]
    pub fn at(unix_seconds: u64) -> Self {
        Self {
            now: Mutex::new(Now::new(
                Duration::from_secs(unix_seconds),
                Duration::from_secs(1_000_000),
            )),
            sleeps: Mutex::default(),
            jitter: Mutex::default(),
            frozen: false,
        }
    }

    /// Returns the clock with jitter that is no accident: these samples from 0 to 1 in
    /// turn, again and again. 0.5 alone leaves waits as they are.
    #[must_use]
    pub fn jitters(self, samples: impl IntoIterator<Item = f64>) -> Self {
        *lock(&self.jitter) = samples.into_iter().collect();
        self
    }

    /// Sets whether the clock stands still also while a thread sleeps. Default: false.
    #[must_use]
    pub fn frozen(mut self, frozen: bool) -> Self {
        self.frozen = frozen;
        self
    }

    /// Moves both readings forward.
    pub fn advance(&self, by: Duration) {
        let mut now = lock(&self.now);
        *now = Now::new(now.wall + by, now.boot + by);
    }

    /// Moves both readings back, which no real clock does to boot time: for
    /// comparison with programs that measure by wall time alone.
    pub fn turn_back(&self, by: Duration) {
        let mut now = lock(&self.now);
        *now = Now::new(now.wall.saturating_sub(by), now.boot.saturating_sub(by));
    }

    /// Sets the wall clock alone, as a person or NTP may.
    pub fn set_wall(&self, unix_seconds: u64) {
        lock(&self.now).wall = Duration::from_secs(unix_seconds);
    }

    /// Moves boot time alone, as a suspended machine with a wrong wall clock.
    pub fn advance_boot(&self, by: Duration) {
        lock(&self.now).boot += by;
    }

    /// Returns every sleep since the last time this was asked.
    pub fn take_sleeps(&self) -> Vec<Duration> {
        std::mem::take(&mut lock(&self.sleeps))
    }
}

impl Clock for HandClock {
    fn now(&self) -> Now {
        *lock(&self.now)
    }

    fn sleep(&self, duration: Duration) {
        lock(&self.sleeps).push(duration);
        if !self.frozen {
            self.advance(duration);
        }
    }

    fn jitter(&self) -> f64 {
        let mut samples = lock(&self.jitter);
        match samples.pop_front() {
            Some(sample) => {
                samples.push_back(sample);
                sample
            }
            None => random::sample(),
        }
    }
}

/// An executor that keeps work until the test runs it.
#[derive(Debug, Default)]
pub struct HandQueue {
    queue: Mutex<VecDeque<Work>>,
    takes: Takes,
}

/// What becomes of work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Takes {
    #[default]
    Kept,
    GivenBack,
    Dropped,
}

impl HandQueue {
    /// Returns an empty queue.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns an executor that can start no thread, and gives all work back.
    #[must_use]
    pub fn refusing() -> Self {
        Self {
            takes: Takes::GivenBack,
            ..Self::default()
        }
    }

    /// Returns an executor that takes all work and drops it undone, as one of a runtime
    /// that was shut down does.
    #[must_use]
    pub fn dropping() -> Self {
        Self {
            takes: Takes::Dropped,
            ..Self::default()
        }
    }

    /// Returns how many pieces of work wait.
    #[must_use]
    pub fn len(&self) -> usize {
        lock(&self.queue).len()
    }

    /// Returns whether no work waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Does the oldest piece of work, here; whether there was one.
    pub fn run_next(&self) -> bool {
        let work = lock(&self.queue).pop_front();
        work.map(Work::run).is_some()
    }

    /// Does all work, and what that work adds; how many pieces there were.
    pub fn run_all(&self) -> usize {
        let mut done = 0;
        while self.run_next() {
            done += 1;
        }
        done
    }
}

impl Executor for HandQueue {
    fn execute(&self, work: Work) -> Result<(), Work> {
        match self.takes {
            Takes::Kept => lock(&self.queue).push_back(work),
            Takes::GivenBack => return Err(work),
            Takes::Dropped => drop(work),
        }
        Ok(())
    }
}
