//! The tokens: one credential of the library for each key, which caches, renews in the background,
//! and fetches once for all that wait. What is here is which are kept, and for how long they are
//! handed out.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use gce_auth::{AccessToken, Credentials, IdToken, IdTokenCredentials};
use tokio::sync::Semaphore;

use crate::{
    clock,
    flights::Flights,
    kept::Kept,
    source::{AccessKey, DEFAULT, IdentityKey, Source, failure::Failure},
};

const ACCESS_TOKENS: usize = 1_000;
const IDENTITY_TOKENS: usize = 2_000;
/// So many tokens of one account are fetched at once, so that an account whose tokens hang leaves
/// threads to the others.
const FETCHES_PER_ACCOUNT: usize = 16;
/// A caller waits so long for a token. Its fetch goes on, for the next.
const PATIENCE: Duration = Duration::from_secs(12);
/// The lifetime of a token without an expiry.
const ENDLESS: Duration = Duration::from_secs(3600);

/// A token, and how long it is still valid.
#[derive(Clone, Debug)]
pub(crate) struct Valid<T> {
    pub(crate) token: T,
    pub(crate) left: Duration,
    /// Whether it was in hand.
    pub(crate) hit: bool,
}

/// All tokens.
#[derive(Debug)]
pub(crate) struct Tokens {
    source: Arc<Source>,
    access: Kept<AccessKey, Credentials>,
    identity: Kept<IdentityKey, IdTokenCredentials>,
    no_cache: bool,
    access_flights: Flights<AccessKey, Result<Valid<AccessToken>, Failure>>,
    identity_flights: Flights<IdentityKey, Result<Valid<IdToken>, Failure>>,
    fetches: Mutex<HashMap<Arc<str>, Arc<Semaphore>>>,
    ready: AtomicBool,
}

/// What both kinds of credentials do.
macro_rules! handed_out {
    ($ready:ident, $fetched:ident, $credentials:ty, $token:ty) => {
        /// The token in hand, until it really expires. Starts its renewal when that is due.
        fn $ready(credentials: &$credentials) -> Option<Valid<$token>> {
            let token = credentials.held_token()?;
            let left = token.valid_for(clock::now()).unwrap_or(ENDLESS);
            if left.is_zero() {
                return None;
            }
            // Without a token it would start a fetch out of turn.
            let _ = credentials.with_cached(|_| ());
            let hit = true;
            Some(Valid { token, left, hit })
        }

        async fn $fetched(credentials: &$credentials) -> Result<Valid<$token>, Failure> {
            match credentials.token().await {
                Ok(token) => {
                    let left = token.valid_for(clock::now()).unwrap_or(ENDLESS);
                    let hit = false;
                    Ok(Valid { token, left, hit })
                }
                Err(error) => Err(Failure::of(&error)),
            }
        }
    };
}

handed_out!(ready_access, fetched_access, Credentials, AccessToken);
handed_out!(
    ready_identity,
    fetched_identity,
    IdTokenCredentials,
    IdToken
);

/// What a fetch comes to, as far as a caller waits for it.
async fn in_time<T>(flown: impl Future<Output = Option<Result<T, Failure>>>) -> Result<T, Failure> {
    match tokio::time::timeout(PATIENCE, flown).await {
        Ok(Some(outcome)) => outcome,
        Ok(None) => Err(Failure::internal()),
        Err(_) => Err(Failure::unavailable(
            "the source failed: no token came in time",
        )),
    }
}

impl Tokens {
    pub(crate) fn new(source: Arc<Source>, no_cache: bool) -> Self {
        Self {
            source,
            // What never gave a token makes room first: it may be of any text that a caller sent.
            access: Kept::new(ACCESS_TOKENS, |access| access.held_token().is_some()),
            identity: Kept::new(IDENTITY_TOKENS, |identity| identity.held_token().is_some()),
            no_cache,
            access_flights: Flights::default(),
            identity_flights: Flights::default(),
            fetches: Mutex::default(),
            ready: AtomicBool::new(false),
        }
    }

    /// Returns the access token in hand.
    pub(crate) fn access_at_once(&self, key: &AccessKey) -> Option<Valid<AccessToken>> {
        if self.no_cache {
            return None;
        }
        ready_access(&self.access.get(key)?)
    }

    /// Returns an access token, in hand or fetched.
    pub(crate) async fn access(
        self: &Arc<Self>,
        key: AccessKey,
    ) -> Result<Valid<AccessToken>, Failure> {
        self.check_account(&key.account)?;
        let credentials = self
            .access_credentials(&key)
            .map_err(|error| Failure::of(&error))?;
        if self.no_cache {
            let work = || async move {
                let refreshed = credentials.refresh().await;
                refreshed.map_err(|error| Failure::of(&error))?;
                fetched_access(&credentials).await
            };
            return in_time(self.access_flights.join(key, work)).await;
        }
        if let Some(found) = ready_access(&credentials) {
            return Ok(found);
        }
        let this = Arc::clone(self);
        let account = Arc::clone(key.act_as.as_ref().unwrap_or(&key.account));
        let work = || async move {
            let _turn = this.turn(&account).await?;
            fetched_access(&credentials).await
        };
        in_time(self.access_flights.join(key, work)).await
    }

    /// Returns the identity token in hand.
    pub(crate) fn identity_at_once(&self, key: &IdentityKey) -> Option<Valid<IdToken>> {
        if self.no_cache {
            return None;
        }
        ready_identity(&self.identity.get(key)?)
    }

    /// Returns an identity token, in hand or fetched.
    pub(crate) async fn identity(
        self: &Arc<Self>,
        key: IdentityKey,
    ) -> Result<Valid<IdToken>, Failure> {
        self.check_account(&key.account)?;
        let made = self.identity.get_or_insert(&key, || {
            let of = AccessKey::plain(Arc::clone(&key.account));
            self.source.identity(&key, &self.access_credentials(&of)?)
        });
        let credentials = made.map_err(|error| Failure::of(&error))?;
        if self.no_cache {
            let work = || async move {
                let refreshed = credentials.refresh().await;
                refreshed.map_err(|error| Failure::of(&error))?;
                fetched_identity(&credentials).await
            };
            return in_time(self.identity_flights.join(key, work)).await;
        }
        if let Some(found) = ready_identity(&credentials) {
            return Ok(found);
        }
        let this = Arc::clone(self);
        let account = Arc::clone(key.act_as.as_ref().unwrap_or(&key.account));
        let work = || async move {
            let _turn = this.turn(&account).await?;
            fetched_identity(&credentials).await
        };
        in_time(self.identity_flights.join(key, work)).await
    }

    fn check_account(&self, account: &str) -> Result<(), Failure> {
        if self.source.has_account(account) {
            return Ok(());
        }
        Err(Failure::not_found("not of these credentials"))
    }

    fn access_credentials(&self, key: &AccessKey) -> Result<Credentials, gce_auth::Error> {
        self.access.get_or_insert(key, || {
            let of = key.made_of();
            let of = of.map(|of| self.access_credentials(&of)).transpose()?;
            self.source.access(key, of.as_ref())
        })
    }

    /// Waits for one of the fetches of an account. One that is fetched for longer than a budget of
    /// the library's gives no turn to those that wait behind it.
    async fn turn(&self, account: &Arc<str>) -> Result<tokio::sync::OwnedSemaphorePermit, Failure> {
        let turns = {
            let mut fetches = self.fetches.lock().unwrap_or_else(PoisonError::into_inner);
            // Accounts that nothing is fetched of.
            if fetches.len() >= ACCESS_TOKENS {
                fetches.retain(|_, turns| turns.available_permits() < FETCHES_PER_ACCOUNT);
            }
            let new = || Arc::new(Semaphore::new(FETCHES_PER_ACCOUNT));
            Arc::clone(fetches.entry(Arc::clone(account)).or_insert_with(new))
        };
        let turn = tokio::time::timeout(Duration::from_secs(10), turns.acquire_owned()).await;
        let busy = "the source failed: it did not answer in time, and others wait for this account";
        match turn {
            Ok(Ok(turn)) => Ok(turn),
            _ => Err(Failure::unavailable(busy)),
        }
    }

    /// Drops all tokens.
    pub(crate) fn flush(&self) {
        for credentials in self.access.clear() {
            // Credentials of a file are shared, and may come back with their token.
            if let Some(token) = credentials.held_token() {
                credentials.invalidate(&token);
            }
        }
        self.identity.clear();
    }

    /// Returns what is left of the token of the default account, once there was one.
    pub(crate) fn is_ready(&self) -> bool {
        if self.no_cache {
            return self.ready.load(Ordering::Relaxed);
        }
        self.left(&AccessKey::plain(DEFAULT.into())).is_some()
    }

    /// Gets a token of the default account, and renews those in use. Called now and then.
    pub(crate) async fn keep_fresh(self: &Arc<Self>) {
        let key = AccessKey::plain(DEFAULT.into());
        if self.no_cache {
            if !self.ready.load(Ordering::Relaxed) {
                let ready = self.access(key).await.is_ok();
                self.ready.store(ready, Ordering::Relaxed);
            }
            return;
        }
        if self.access_at_once(&key).is_none() {
            let _ = self.access(key).await;
        }
    }

    /// Renews the tokens that are about to expire and were used of late, also if no caller asks for
    /// them at this moment.
    pub(crate) fn renew(&self) {
        if self.no_cache {
            return;
        }
        for credentials in self.access.recent() {
            if credentials.cached_token().is_some() {
                let _ = credentials.with_cached(|_| ());
            }
        }
        for credentials in self.identity.recent() {
            if credentials.cached_token().is_some() {
                let _ = credentials.with_cached(|_| ());
            }
        }
    }

    /// Forgets which tokens were used before the last call of this.
    pub(crate) fn mark(&self) {
        self.access.mark();
        self.identity.mark();
    }

    /// Returns what is left of the token of a key.
    pub(crate) fn left(&self, key: &AccessKey) -> Option<Duration> {
        let all = self.access.all();
        let (_, credentials) = all.into_iter().find(|(known, _)| known == key)?;
        let left = credentials.held_token()?.valid_for(clock::now());
        Some(left.unwrap_or(ENDLESS)).filter(|left| !left.is_zero())
    }

    /// Returns the access tokens in hand: their keys, and what is left of each.
    pub(crate) fn access_in_hand(&self) -> Vec<(AccessKey, Duration)> {
        let now = clock::now();
        let left = |credentials: &Credentials| {
            let left = credentials.held_token()?.valid_for(now);
            Some(left.unwrap_or(ENDLESS)).filter(|left| !left.is_zero())
        };
        let all = self.access.all().into_iter();
        all.filter_map(|(key, credentials)| Some((key, left(&credentials)?)))
            .collect()
    }

    /// Returns the identity tokens in hand.
    pub(crate) fn identity_in_hand(&self) -> Vec<(IdentityKey, Duration)> {
        let now = clock::now();
        let left = |credentials: &IdTokenCredentials| {
            let left = credentials.held_token()?.valid_for(now);
            Some(left.unwrap_or(ENDLESS)).filter(|left| !left.is_zero())
        };
        let all = self.identity.all().into_iter();
        all.filter_map(|(key, credentials)| Some((key, left(&credentials)?)))
            .collect()
    }
}
