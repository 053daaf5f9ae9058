//! The keys that tokens are verified with: fetched when they are needed, kept
//! as long as their server says.

use std::{sync::Arc, time::Duration};

use http::Uri;

use crate::{
    client::{api::Api, config::MetadataClient},
    io::threads::{LaneKey, WorkKind},
    task::{
        shared_task::{self, SharedTask},
        sync::{Mutex, MutexGuard, lock},
    },
    values::{
        budget::Budget,
        error::{Error, ErrorKind},
        token::Now,
    },
    verifier::shown,
    wire::{
        jwks::{self, Form, Key, KeySet},
        retry::{RetryPolicy, server::Server},
    },
};

/// How long keys are fresh where their server does not say.
const LIFETIME: Duration = Duration::from_secs(3600);
const SHORTEST: Duration = Duration::from_secs(60);
const LONGEST: Duration = Duration::from_secs(24 * 3600);
/// How long keys that could not be renewed are still used.
const GRACE: Duration = Duration::from_secs(24 * 3600);
/// Keys are not fetched again before this has passed, whatever tokens come.
const PAUSE: Duration = Duration::from_secs(30);
/// With no keys at all, a failure is shared for this long.
const QUIET: Duration = Duration::from_secs(1);

/// Where keys come from.
#[derive(Clone, Debug)]
pub(super) enum Origin {
    Given(Arc<KeySet>),
    Published(Uri, Form),
}

/// The keys of one verifier.
#[derive(Debug)]
pub(super) struct Keys {
    origin: Origin,
    client: MetadataClient,
    retry: RetryPolicy,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    held: Option<Held>,
    /// When they were last asked for, by the boot clock.
    asked: Option<Duration>,
    failed: Option<Error>,
    flight: Option<Arc<SharedTask<Arc<KeySet>>>>,
}

/// Keys that were fetched; times by the boot clock.
#[derive(Clone, Debug)]
struct Held {
    keys: Arc<KeySet>,
    renew_at: Duration,
    fresh_until: Duration,
}

/// What to do about a key id.
enum Look {
    /// These keys know it.
    Known(Arc<KeySet>),
    /// Keys must be fetched first; to be begun where the second is true.
    Fetch(Arc<SharedTask<Arc<KeySet>>>, bool),
    /// There is no such key.
    Unknown,
    /// Nobody knows: they could not be fetched.
    Failed(Error),
}

impl Keys {
    pub(super) fn new(origin: Origin, client: MetadataClient) -> Self {
        Self {
            origin,
            client,
            retry: RetryPolicy::new().attempts(3),
            state: Mutex::default(),
        }
    }

    /// The keys with this id.
    pub(super) async fn find(self: &Arc<Self>, id: &str) -> Result<Vec<Key>, Error> {
        let fetched = match self.look(id) {
            Look::Fetch(flight, begin) => {
                let landed = flight.outcome(self.retry.total());
                if begin {
                    self.begin(&flight);
                }
                landed.await
            }
            look => return self.settled(look, id),
        };
        self.after(fetched, id)
    }

    /// [`find`](Self::find), waiting on this thread.
    pub(super) fn blocking_find(self: &Arc<Self>, id: &str) -> Result<Vec<Key>, Error> {
        match self.look(id) {
            Look::Fetch(flight, _) => {
                let fetched = flight.blocking_outcome(self.retry.total());
                self.after(fetched, id)
            }
            look => self.settled(look, id),
        }
    }

    fn settled(&self, look: Look, id: &str) -> Result<Vec<Key>, Error> {
        match look {
            Look::Known(keys) => self.named(&keys, id),
            Look::Failed(error) => Err(error),
            Look::Unknown | Look::Fetch(..) => Err(self.unknown(id)),
        }
    }

    /// After a fetch: what it brought, else what is still held.
    fn after(&self, fetched: Result<Arc<KeySet>, Error>, id: &str) -> Result<Vec<Key>, Error> {
        match fetched {
            Ok(keys) => self.named(&keys, id),
            Err(error) => {
                let held = self.lock().usable(self.now());
                let named = held.and_then(|keys| self.named(&keys, id).ok());
                named.ok_or_else(|| without_keys(error))
            }
        }
    }

    fn named(&self, keys: &KeySet, id: &str) -> Result<Vec<Key>, Error> {
        let named: Vec<Key> = keys.named(id).cloned().collect();
        if named.is_empty() {
            return Err(self.unknown(id));
        }
        Ok(named)
    }

    fn unknown(&self, id: &str) -> Error {
        let place = match &self.origin {
            Origin::Given(_) => "the given keys".to_owned(),
            Origin::Published(url, _) => format!("the keys at {url}"),
        };
        let error = Error::new(
            ErrorKind::Rejected,
            format!(
                "the token is signed by key {}, which is not among {place}",
                shown(id)
            ),
        );
        error.with_hint("is the token from another issuer, or older than the keys?")
    }

    /// Decides, without I/O; starts a renewal in the background when one is due.
    fn look(self: &Arc<Self>, id: &str) -> Look {
        if let Origin::Given(keys) = &self.origin {
            return Look::Known(Arc::clone(keys));
        }
        let now = self.now();
        let mut state = self.lock();
        state.forget_dropped();
        let knows = |keys: &KeySet| keys.named(id).next().is_some();
        let known = state.usable(now).filter(|keys| knows(keys));
        let fresh = state.held.as_ref().filter(|held| now < held.fresh_until);
        if let (Some(keys), Some(held)) = (&known, fresh) {
            if now < held.renew_at || !state.may_ask(now) {
                return Look::Known(Arc::clone(keys));
            }
            self.renew(state);
            return Look::Known(Arc::clone(keys));
        }
        if let (Some(keys), Some(_)) = (&known, &state.failed) {
            // Nobody waits for a server that is down where old keys do.
            if state.may_ask(now) {
                self.renew(state);
            }
            return Look::Known(Arc::clone(keys));
        }
        let in_flight = state.flight.is_some();
        let usable = state.usable(now).is_some();
        if let Some(error) = state.failed.as_ref().filter(|_| !usable && !in_flight) {
            if state.asked.is_some_and(|asked| now < asked + QUIET) {
                return Look::Failed(without_keys(error.clone()));
            }
        }
        let may_ask = in_flight || !usable || state.may_ask(now);
        if may_ask {
            let (flight, begin) = self.join(&mut state);
            return Look::Fetch(flight, begin);
        }
        match (known, &state.failed) {
            (Some(keys), _) => Look::Known(keys),
            (None, Some(error)) => Look::Failed(without_keys(error.clone())),
            (None, None) => Look::Unknown,
        }
    }

    /// Has keys fetched that nobody waits for.
    fn renew(self: &Arc<Self>, mut state: MutexGuard<'_, State>) {
        let (flight, begin) = self.join(&mut state);
        drop(state);
        if begin {
            self.begin(&flight);
        }
    }

    /// The fetch that is in progress, or a new one, which must be begun.
    fn join(self: &Arc<Self>, state: &mut State) -> (Arc<SharedTask<Arc<KeySet>>>, bool) {
        let now = self.client.0.clock.now();
        let process = std::process::id();
        let longest = self.retry.total();
        if let Some(flight) = &state.flight {
            let age = now.boot.saturating_sub(flight.started.boot);
            if flight.process == process && age <= longest {
                return (Arc::clone(flight), false);
            }
        }
        let keys = Arc::downgrade(self);
        let flight = Arc::new(SharedTask::new(now, longest, process, move || {
            keys.upgrade()
                .map_or_else(|| Err(shared_task::late()), |keys| keys.fetch(now))
        }));
        state.flight = Some(Arc::clone(&flight));
        state.asked = Some(now.boot);
        (flight, true)
    }

    /// Has a flight done by the executor, else here.
    fn begin(&self, flight: &Arc<SharedTask<Arc<KeySet>>>) {
        if let Origin::Published(url, _) = &self.origin {
            let config = &self.client.0;
            let lane = LaneKey::of(url, &config.transport);
            flight.depart(WorkKind::Other, &lane, &*config.executor);
        }
    }

    fn fetch(&self, started: Now) -> Result<Arc<KeySet>, Error> {
        let ended = Ended(self);
        let Origin::Published(url, form) = &self.origin else {
            return Err(shared_task::late());
        };
        let config = &*self.client.0;
        let api = Api {
            config,
            server: Server::Keys,
            policy: &self.retry,
            limits: &config.limits,
        };
        let fetched = api.send(
            &mut Budget::new(started, self.retry.total()),
            || Ok(jwks::request(url)),
            |response, sent| jwks::keys(*form, &response).map(|(keys, age)| (keys, age, sent)),
        );
        let mut state = self.lock();
        let outcome = match fetched {
            Ok((keys, age, sent)) => {
                let lifetime = age.unwrap_or(LIFETIME).clamp(SHORTEST, LONGEST);
                let keys = Arc::new(keys);
                state.failed = None;
                state.held = Some(Held {
                    keys: Arc::clone(&keys),
                    renew_at: sent.boot + lifetime * 9 / 10,
                    fresh_until: sent.boot + lifetime,
                });
                Ok(keys)
            }
            Err(error) => {
                state.failed = Some(error.clone());
                Err(error)
            }
        };
        drop(state);
        drop(ended);
        outcome
    }

    fn now(&self) -> Duration {
        self.client.0.clock.now().boot
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl State {
    /// The keys that are held, unless they are too old to be used at all.
    fn usable(&self, now: Duration) -> Option<Arc<KeySet>> {
        let held = self.held.as_ref()?;
        (now < held.fresh_until + GRACE).then(|| Arc::clone(&held.keys))
    }

    /// Forgets a fetch that the executor dropped: nobody was asked.
    fn forget_dropped(&mut self) {
        if self.flight.as_ref().is_some_and(|it| it.has_landed()) {
            self.flight = None;
            self.asked = None;
        }
    }

    fn may_ask(&self, now: Duration) -> bool {
        self.asked.is_none_or(|asked| now >= asked + PAUSE)
    }
}

fn without_keys(error: Error) -> Error {
    error.context("the keys to verify with could not be fetched")
}

/// The end of a fetch, also of one whose transport panicked.
struct Ended<'a>(&'a Keys);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        let now = self.0.now();
        let mut state = self.0.lock();
        state.flight = None;
        state.asked = Some(now);
    }
}
