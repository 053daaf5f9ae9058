//! The keys that tokens are verified with: fetched when they are needed, kept
//! as long as their server says.

use std::{
    sync::{Arc, LazyLock},
    time::Duration,
};

use http::Uri;

use crate::{
    client::{api::Api, config::MetadataClient},
    io::threads::{LaneKey, WorkKind},
    refresh::{
        FetchContext, RefreshMode, Source,
        cache::Cache,
        policy::{Deadlines, Policy},
        refreshes::Refreshes,
        value::Value,
    },
    values::{
        budget::Budget,
        error::{Error, ErrorKind},
        token::{Now, Validity},
    },
    verifier::token::shown,
    wire::{
        jwks::{self, Form, Key, KeySet},
        retry::{RetryPolicy, server::Server},
    },
};

/// How long keys are fresh if their server does not say.
const LIFETIME: Duration = Duration::from_secs(3600);
const SHORTEST: Duration = Duration::from_secs(60);
const LONGEST: Duration = Duration::from_secs(24 * 3600);
/// How long keys that could not be renewed are still used.
const GRACE: Duration = Duration::from_secs(24 * 3600);
/// Keys are not fetched again before this has passed, whatever tokens come.
const PAUSE: Duration = Duration::from_secs(30);

static POLICY: LazyLock<Policy> = LazyLock::new(|| Policy {
    gentle: PAUSE,
    first_backoff: PAUSE,
    most_backoff: PAUSE,
    ..Policy::new()
});

/// Where keys come from.
#[derive(Clone, Debug)]
pub(super) enum Origin {
    Given(Arc<KeySet>),
    Published(Uri, Form),
}

/// The keys of one verifier.
pub(super) enum Keys {
    Given(Arc<KeySet>),
    Published(Uri, Cache<KeyServer>),
}

/// What to do about a key id.
enum Look {
    Known(Vec<Key>),
    /// Keys have to be fetched first: these, or newer ones than those in hand.
    Fetch {
        newer: bool,
    },
    Failed(Error),
}

impl Keys {
    pub(super) fn new(origin: Origin, client: MetadataClient) -> Self {
        let (url, form) = match origin {
            Origin::Given(keys) => return Self::Given(keys),
            Origin::Published(url, form) => (url, form),
        };
        let config = &client.0;
        let (clock, executor) = (Arc::clone(&config.clock), Arc::clone(&config.executor));
        let server = KeyServer {
            lane: LaneKey::of(&url, &config.transport),
            url: url.clone(),
            form,
            retry: RetryPolicy::new().attempts(3),
            client,
        };
        let refreshes = Refreshes::alone(&POLICY);
        Self::Published(
            url,
            Cache::new(refreshes, Arc::new(server), clock, executor),
        )
    }

    /// Returns the keys with this id.
    pub(super) async fn find(&self, id: &str) -> Result<Vec<Key>, Error> {
        let mut spent = Duration::ZERO;
        match (self, self.look(id, &mut spent)) {
            (Self::Published(_, cache), Look::Fetch { newer }) => {
                let fetched = if newer {
                    cache.next_value(spent).await
                } else {
                    cache.get_after(RefreshMode::Background, spent).await
                };
                self.after(fetched, id)
            }
            (_, look) => self.settled(look, id),
        }
    }

    /// [`find`](Self::find), waiting on this thread.
    pub(super) fn blocking_find(&self, id: &str) -> Result<Vec<Key>, Error> {
        let mut spent = Duration::ZERO;
        match (self, self.look(id, &mut spent)) {
            (Self::Published(_, cache), Look::Fetch { newer }) => {
                let fetched = if newer {
                    cache.blocking_next_value(spent)
                } else {
                    cache.blocking_get_after(RefreshMode::Background, spent)
                };
                self.after(fetched, id)
            }
            (_, look) => self.settled(look, id),
        }
    }

    fn settled(&self, look: Look, id: &str) -> Result<Vec<Key>, Error> {
        match look {
            Look::Known(keys) => Ok(keys),
            Look::Failed(error) => Err(error),
            Look::Fetch { .. } => Err(self.unknown(id)),
        }
    }

    /// After a fetch: what it brought, else why there is nothing.
    fn after(&self, fetched: Result<PublishedKeys, Error>, id: &str) -> Result<Vec<Key>, Error> {
        let keys = fetched.map_err(without_keys)?.keys;
        named(&keys, id).ok_or_else(|| self.unknown(id))
    }

    fn unknown(&self, id: &str) -> Error {
        let location = match self {
            Self::Given(_) => "the given keys".to_owned(),
            Self::Published(url, _) => format!("the keys at {url}"),
        };
        let error = Error::new(
            ErrorKind::Rejected,
            format!(
                "the token is signed by key {}, which is not among {location}",
                shown(id)
            ),
        );
        error.with_hint("is the token from another issuer, or older than the keys?")
    }

    /// Decides, without I/O; starts a renewal in the background when one is due.
    /// Keys in hand never wait for their renewal, unless the executor gives it
    /// back: `spent` is how long that took.
    fn look(&self, id: &str, spent: &mut Duration) -> Look {
        let cache = match self {
            Self::Given(keys) => {
                let known = named(keys, id).map(Look::Known);
                return known.unwrap_or_else(|| Look::Failed(self.unknown(id)));
            }
            Self::Published(_, cache) => cache,
        };
        let Some(held) = cache.peek(spent) else {
            return Look::Fetch { newer: false };
        };
        if let Some(keys) = named(&held.keys, id) {
            return Look::Known(keys);
        }
        let (known, now) = (cache.refreshes().known(), cache.now());
        let recently = |at: Now| now.boot < at.boot.saturating_add(PAUSE);
        // A fetch that an executor dropped has asked no server.
        let failed = known.last_failure.filter(|(_, error)| error.attempts() > 0);
        let failed = failed.filter(|(at, _)| known.last_success.is_none_or(|it| it.boot < at.boot));
        match failed {
            Some((at, error)) if recently(at) => Look::Failed(without_keys(error)),
            None if known.last_success.is_some_and(recently) => Look::Failed(self.unknown(id)),
            _ => Look::Fetch { newer: true },
        }
    }
}

fn named(keys: &KeySet, id: &str) -> Option<Vec<Key>> {
    let named: Vec<Key> = keys.named(id).cloned().collect();
    (!named.is_empty()).then_some(named)
}

fn without_keys(error: Error) -> Error {
    error.context("the keys to verify with could not be fetched")
}

/// Keys that were fetched.
#[derive(Clone, Debug)]
pub(super) struct PublishedKeys {
    keys: Arc<KeySet>,
    sent: Now,
    lifetime: Duration,
}

impl Value for PublishedKeys {
    fn validity(&self) -> Validity {
        Validity::lasting(self.sent, self.lifetime.saturating_add(GRACE))
    }

    fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.keys, &other.keys)
    }

    fn outlives_renewals() -> bool {
        false
    }

    /// Keys are renewed when nine tenths of their lifetime have passed.
    fn deadlines(&self, _: &Policy, _: f64) -> Deadlines {
        let sent = self.sent.boot;
        let stale = sent.saturating_add(self.lifetime * 9 / 10);
        let invalid = sent.saturating_add(self.lifetime).saturating_add(GRACE);
        Deadlines::by_boot(stale, invalid)
    }
}

/// A server that publishes keys.
pub(super) struct KeyServer {
    url: Uri,
    form: Form,
    retry: RetryPolicy,
    lane: LaneKey,
    client: MetadataClient,
}

impl Source for KeyServer {
    type Value = PublishedKeys;

    const WHAT: &'static str = "keys";

    fn fetch(&self, context: &FetchContext) -> Result<PublishedKeys, Error> {
        let config = &*self.client.0;
        let api = Api {
            config,
            server: Server::Keys,
            policy: &self.retry,
            limits: &config.limits,
        };
        api.send(
            &mut Budget::new(context.began, self.retry.total()),
            || Ok(jwks::request(&self.url)),
            |response, sent| {
                jwks::keys(self.form, &response).map(|(keys, age)| PublishedKeys {
                    keys: Arc::new(keys),
                    sent,
                    lifetime: age.unwrap_or(LIFETIME).clamp(SHORTEST, LONGEST),
                })
            },
        )
    }

    fn budget(&self) -> Duration {
        self.retry.total()
    }

    fn kind(&self) -> WorkKind {
        WorkKind::Other
    }

    fn lane(&self) -> &LaneKey {
        &self.lane
    }
}
