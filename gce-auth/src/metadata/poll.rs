//! Asks for one target, again and again, until it changes.

use std::{sync::Arc, time::Duration};

use http::{Request, header::ETAG};

use crate::{
    client::{call, config::MetadataClient},
    io::{clock::Clock, interrupt::Interrupt},
    metadata::{change::MetadataChange, get::none_where_missing, request as sent},
    values::{
        budget::Budget,
        error::{Error, ErrorKind},
    },
    wire::{
        request::{self, MetadataPath, Query},
        retry::RetryPolicy,
    },
};

/// How much longer than it was asked to a server may hold a request.
const SLACK: Duration = Duration::from_secs(10);
/// The longest wait that a server is granted with `Retry-After`.
const LONGEST_ASKED: Duration = Duration::from_secs(60);
/// How long a wait goes on after nobody waits any more.
const SLICE: Duration = Duration::from_millis(100);
/// There is always time for one more attempt.
const ENDLESS: Duration = Duration::MAX;

/// What is watched, and how.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) client: MetadataClient,
    pub(super) path: String,
    pub(super) recursive: bool,
    /// How long the server is to hold a request while nothing changes.
    pub(super) hold: Duration,
}

/// Waits for the next change, and is used up by it.
pub(super) struct Poll {
    pub(super) target: Target,
    pub(super) interrupt: Interrupt,
    /// What was last seen, if anything was.
    pub(super) known: Option<MetadataChange>,
    /// The ETag of what was last seen, here or by an earlier process.
    pub(super) etag: Option<String>,
    /// How many times in a row this came to an error before.
    pub(super) failed: u32,
    /// How long the server asked to wait when it did.
    pub(super) asked: Option<Duration>,
}

impl Poll {
    /// The next change; or what keeps it from being seen, where that does not
    /// pass by itself.
    pub(super) fn run(mut self) -> Result<MetadataChange, Error> {
        let clock = Arc::clone(&self.target.client.0.clock);
        let started = clock.now().boot;
        if self.failed > 0 {
            self.pause(self.backoff(self.failed, self.asked, None));
        }
        let (mut broken, mut idle) = (0, 0);
        loop {
            if self.interrupt.is_raised() {
                return Err(let_go());
            }
            let asked = clock.now().boot;
            match self.ask() {
                Ok(found) => {
                    broken = 0;
                    if let Some(change) = self.news(found) {
                        return Ok(change);
                    }
                    let took = clock.now().boot.saturating_sub(asked);
                    idle = if took < self.target.hold / 2 {
                        idle + 1
                    } else {
                        0
                    };
                    if idle > 0 {
                        self.pause(gently(idle, &*clock));
                    }
                }
                Err(error) if error.is_retryable() => {
                    broken += 1;
                    // The first value is asked for as any value is; later on,
                    // every outage is waited for.
                    let spent = clock.now().boot.saturating_sub(started);
                    let total = self.target.client.0.retry.total();
                    let left = (!self.has_begun()).then(|| total.saturating_sub(spent));
                    let wait = self.backoff(broken, error.retry_after(), left);
                    if wait.is_none() {
                        return Err(error.after(broken, spent));
                    }
                    self.pause(wait);
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn has_begun(&self) -> bool {
        self.known.is_some() || self.etag.is_some()
    }

    /// Whether the server is to wait with its answer.
    fn waits(&self) -> bool {
        match &self.known {
            Some(known) => known.value().is_some(),
            None => self.etag.is_some(),
        }
    }

    /// What `found` changes, if anything; what is known afterwards.
    fn news(&mut self, found: MetadataChange) -> Option<MetadataChange> {
        let same = match &self.known {
            Some(known) => known.value() == found.value(),
            None => self.etag.is_some() && self.etag.as_deref() == found.etag(),
        };
        self.etag = found.etag().map(str::to_owned);
        self.known = Some(found.clone());
        (!same).then_some(found)
    }

    /// One attempt.
    fn ask(&self) -> Result<MetadataChange, Error> {
        let request = self.request()?;
        let mut config = self.target.client.0.for_one_request();
        config.retry = config.retry.attempts(1);
        if self.waits() {
            let limit = self.target.hold.saturating_add(SLACK);
            config.limits.first_byte = limit;
            config.limits.attempt = limit;
        }
        let mut budget = Budget::new(config.clock.now(), ENDLESS);
        let found = call::call(&config, &mut budget, &request, |answer, _| {
            let etag = answer.header(ETAG).map(str::to_owned);
            Ok(MetadataChange::found(sent::read(answer)?, etag))
        });
        match none_where_missing(found) {
            Ok(found) => Ok(found.unwrap_or_else(MetadataChange::missing)),
            Err(error) if self.waits() && error.status() == Some(400) => Err(error
                .with_hint("a directory is watched with all below it: end its path with a slash")),
            Err(error) => Err(error),
        }
    }

    fn request(&self) -> Result<Request<Vec<u8>>, Error> {
        let path = MetadataPath::new(&self.target.path)?;
        let leaf = path.as_str().rsplit('/').next().unwrap_or_default();
        if path.as_str().contains("service-accounts/") && matches!(leaf, "token" | "identity") {
            return Err(
                Error::new(ErrorKind::Config, "a token cannot be watched").with_hint(
                    "use Credentials or IdTokenCredentials, which renew their tokens in time",
                ),
            );
        }
        let mut query = Query::default();
        if self.target.recursive || leaf.is_empty() {
            query = query.with("recursive", "true");
        }
        if self.waits() {
            query = query.with("wait_for_change", "true");
            if let Some(etag) = &self.etag {
                query = query.with("last_etag", etag);
            }
            let seconds = self.target.hold.as_secs().max(1);
            query = query.with("timeout_sec", &seconds.to_string());
        }
        let mut request = request::value(self.target.client.0.endpoint()?, &path, &query)?;
        request.extensions_mut().insert(self.interrupt.clone());
        Ok(request)
    }

    /// The wait after so many failures in a row; none where it is not within
    /// what is left.
    fn backoff(
        &self,
        failed: u32,
        asked: Option<Duration>,
        left: Option<Duration>,
    ) -> Option<Duration> {
        let mut policy = self.target.client.0.retry.clone();
        if left.is_none() {
            policy = policy.attempts(u32::MAX);
        }
        let asked = asked.map(|asked| asked.min(LONGEST_ASKED));
        let sample = self.target.client.0.clock.jitter();
        policy.next_wait(failed, 0, asked, left.unwrap_or(ENDLESS), sample)
    }

    fn pause(&self, wait: Option<Duration>) {
        let mut left = wait.unwrap_or_default();
        while !left.is_zero() && !self.interrupt.is_raised() {
            let slice = left.min(SLICE);
            self.target.client.0.clock.sleep(slice);
            left -= slice;
        }
    }
}

/// The wait after so many answers in a row that came at once and said nothing
/// new: the target is missing, or this server does not hold requests.
fn gently(idle: u32, clock: &dyn Clock) -> Option<Duration> {
    RetryPolicy::new()
        .first_wait(Duration::from_secs(1))
        .longest_wait(Duration::from_secs(5))
        .next_wait(idle, 0, None, ENDLESS, clock.jitter())
}

/// What a watch that is over comes to; nobody sees it.
pub(super) fn let_go() -> Error {
    Error::new(ErrorKind::Unavailable, "nobody waits for this any more")
}
