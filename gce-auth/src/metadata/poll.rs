//! Asks for one target, again and again, until it changes.

use std::{sync::Arc, time::Duration};

use http::{Request, header::ETAG};

use crate::{
    client::{
        config::{Config, MetadataClient},
        metadata,
    },
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
/// How long a wait goes on after its last caller left.
const SLICE: Duration = Duration::from_millis(100);

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
        let config = Arc::clone(&self.target.client.0);
        let clock = &*config.clock;
        let mut budget = if self.has_begun() {
            // From now on every outage is waited for.
            Budget::new(clock.now(), Duration::MAX)
        } else {
            config.budget()
        };
        if self.failed > 0 {
            let wait = self.wait_after_failures(&config);
            self.pause(clock, wait);
        }
        let mut idle = 0;
        loop {
            let asked = clock.now().boot;
            let found = self.fetch(&config, &mut budget)?;
            budget = Budget::new(clock.now(), Duration::MAX);
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
                self.pause(clock, gently(idle, clock));
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
            // Another version of the same value is none.
            Some(known) => content(known) == content(&found),
            None => self.etag.is_some() && self.etag.as_deref() == found.etag(),
        };
        self.etag = found.etag().map(str::to_owned);
        self.known = Some(found.clone());
        (!same).then_some(found)
    }

    /// What is there now, or after the next change.
    fn fetch(&self, config: &Config, budget: &mut Budget) -> Result<MetadataChange, Error> {
        let request = self.request()?;
        let mut config = config.for_one_request();
        if self.has_begun() {
            config.retry = config.retry.attempts(u32::MAX);
        }
        if self.waits() {
            let limit = self.target.hold.saturating_add(SLACK);
            config.limits.first_byte = limit;
            config.limits.attempt = limit;
        }
        let found = metadata::fetch(&config, budget, &request, |answer, _| {
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

    /// The wait after watches in a row that came to an error.
    fn wait_after_failures(&self, config: &Config) -> Duration {
        let asked = self.asked.map(|asked| asked.min(LONGEST_ASKED));
        let policy = config.retry.clone().attempts(u32::MAX);
        let sample = config.clock.jitter();
        let wait = policy.next_wait(self.failed, 0, asked, Duration::MAX, sample);
        wait.unwrap_or_default()
    }

    fn pause(&self, clock: &dyn Clock, wait: Duration) {
        let mut left = wait;
        while !left.is_zero() && !self.interrupt.is_raised() {
            let slice = left.min(SLICE);
            clock.sleep(slice);
            left -= slice;
        }
    }
}

/// The wait after so many answers in a row that came at once and said nothing
/// new: the target is missing, or this server does not hold requests.
fn gently(idle: u32, clock: &dyn Clock) -> Duration {
    let wait = RetryPolicy::new()
        .first_wait(Duration::from_secs(1))
        .longest_wait(Duration::from_secs(5))
        .next_wait(idle, 0, None, Duration::MAX, clock.jitter());
    wait.unwrap_or_default()
}

/// What a change is of: the text, and whether it is a document.
fn content(change: &MetadataChange) -> Option<(&str, bool)> {
    let value = change.value()?;
    Some((value.text(), value.is_json()))
}
