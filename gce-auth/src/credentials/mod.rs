//! Floor 5: access tokens, and the headers made of them.

mod builder;
#[cfg(any(test, feature = "test-util"))]
mod fixed;
pub(crate) mod source;
mod status;
mod wait;

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::SystemTime,
};

use http::HeaderValue;

pub(crate) use crate::credentials::builder::quota_project;
pub use crate::credentials::{
    builder::CredentialsBuilder,
    status::{Status, TokenState},
};
use crate::{
    client::settings::MetadataClient,
    credentials::source::{
        FAMILY_BOUND, Origin, TokenFamily, TokenKeeper, TokenSource, Universe, Wish,
    },
    engine::{Engine, RefreshMode, registry::Family},
    values::{
        error::Error,
        headers::Headers,
        scope::Scopes,
        token::{AccessToken, Bearer},
    },
    wire::{request::MetadataPath, response::AccountInfo},
};

/// Access tokens of a service account, from the metadata server.
///
/// Cheap to clone; a clone is a handle to the same credential. Making one does
/// no I/O and needs no runtime. Credentials of one process that would send the
/// same token request share one token and one request.
///
/// A token is fetched when it is first needed, renewed in the background from
/// 225 s before it expires (within the 240 to 300 s at which the server itself
/// renews), and never given up while it is valid. No error is final: whatever
/// a call answers, the next one asks again, after a second of quiet.
///
/// # Examples
/// Under any async runtime:
/// ```no_run
/// # async fn call() -> Result<(), gce_auth::Error> {
/// let credentials = gce_auth::Credentials::new();
/// let headers = credentials.headers().await?;
/// # Ok(())
/// # }
/// ```
/// Without one:
/// ```no_run
/// # fn main() -> Result<(), gce_auth::Error> {
/// let credentials = gce_auth::Credentials::new();
/// let headers = credentials.blocking_headers()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Credentials(Arc<Inner>);

struct Inner {
    engine: Engine<TokenSource>,
    source: Arc<TokenSource>,
    family: Arc<TokenFamily>,
    settled: Settled,
    blocking: AtomicBool,
    universe: Universe,
}

/// The settings of one credential, checked.
#[derive(Clone)]
pub(crate) struct Settled {
    pub(crate) wish: Wish,
    pub(crate) user_project: Option<HeaderValue>,
    pub(crate) universe_domain: Option<String>,
    pub(crate) mode: RefreshMode,
    pub(crate) shared: bool,
}

impl Default for Family<TokenKeeper> {
    fn default() -> Self {
        Self::new(FAMILY_BOUND)
    }
}

impl Credentials {
    /// The default service account of wherever this program runs.
    ///
    /// Never fails: where the environment makes no sense, the first call says
    /// so. [`builder`](Self::builder) fails early.
    #[must_use]
    pub fn new() -> Self {
        let settled = Settled {
            wish: Wish {
                account: "default".to_owned(),
                scopes: Scopes::default(),
                enforce_scopes: false,
                expected: None,
            },
            user_project: None,
            universe_domain: None,
            mode: RefreshMode::default(),
            shared: true,
        };
        Self::assemble(MetadataClient::new(), settled, &Arc::default())
    }

    /// Credentials to be configured.
    pub fn builder() -> CredentialsBuilder {
        CredentialsBuilder::default()
    }

    pub(crate) fn assemble(
        client: MetadataClient,
        settled: Settled,
        family: &Arc<TokenFamily>,
    ) -> Self {
        let keeper = source::keeper(&client, &settled.wish, settled.shared);
        family.keep(&keeper);
        let source = Arc::new(TokenSource::new(client, settled.wish.clone()));
        Self::with_source(source, keeper, settled, family)
    }

    fn with_source(
        source: Arc<TokenSource>,
        keeper: Arc<TokenKeeper>,
        settled: Settled,
        family: &Arc<TokenFamily>,
    ) -> Self {
        let settings = &source.client.0;
        let (clock, executor) = (Arc::clone(&settings.clock), Arc::clone(&settings.executor));
        Self(Arc::new(Inner {
            engine: Engine::new(keeper, Arc::clone(&source), clock, executor),
            source,
            family: Arc::clone(family),
            blocking: AtomicBool::new(settled.mode == RefreshMode::Blocking),
            settled,
            universe: Universe::new(),
        }))
    }

    /// The headers of a request to a Google API.
    ///
    /// With a valid token in hand this takes no lock, allocates nothing and
    /// does not wait.
    ///
    /// # Errors
    /// Whatever keeps the metadata server from giving a token; see
    /// [`ErrorKind`](crate::ErrorKind). Never while a valid token is in hand.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing: the request for a token, if one was
    /// begun, ends by itself and its token is kept.
    pub async fn headers(&self) -> Result<Headers, Error> {
        match self.hot_headers() {
            Some(headers) => Ok(headers),
            None => {
                let bearer = self.0.engine.get(self.mode()).await?;
                Ok(self.show(&bearer))
            }
        }
    }

    /// [`headers`](Self::headers), waiting on this thread.
    ///
    /// # Errors
    /// As for [`headers`](Self::headers).
    pub fn blocking_headers(&self) -> Result<Headers, Error> {
        match self.hot_headers() {
            Some(headers) => Ok(headers),
            None => {
                let bearer = self.0.engine.blocking_get(self.mode())?;
                Ok(self.show(&bearer))
            }
        }
    }

    /// The headers, if a valid token is in hand. Never waits, and starts a
    /// refresh in the background when one is due: made for callers that
    /// cannot wait, such as a tonic interceptor.
    #[must_use]
    pub fn cached_headers(&self) -> Option<Headers> {
        let cached = self.cached(RefreshMode::Background, Headers::clone);
        if cached.is_none() {
            self.0.engine.start();
        }
        cached
    }

    /// Lends the headers to `f`, if a valid token is in hand; nothing is
    /// cloned. Otherwise as [`cached_headers`](Self::cached_headers).
    pub fn with_cached<R>(&self, f: impl FnOnce(&Headers) -> R) -> Option<R> {
        let cached = self.cached(RefreshMode::Background, f);
        if cached.is_none() {
            self.0.engine.start();
        }
        cached
    }

    /// The value of the `authorization` header.
    ///
    /// # Errors
    /// As for [`headers`](Self::headers).
    pub async fn authorization(&self) -> Result<HeaderValue, Error> {
        self.token().await.map(|token| token.authorization())
    }

    /// [`authorization`](Self::authorization), waiting on this thread.
    ///
    /// # Errors
    /// As for [`headers`](Self::headers).
    pub fn blocking_authorization(&self) -> Result<HeaderValue, Error> {
        self.blocking_token().map(|token| token.authorization())
    }

    /// The access token, and when it expires.
    ///
    /// # Errors
    /// As for [`headers`](Self::headers).
    pub async fn token(&self) -> Result<AccessToken, Error> {
        self.0.source.holds_tokens()?;
        self.0.engine.get(self.mode()).await.map(AccessToken)
    }

    /// [`token`](Self::token), waiting on this thread.
    ///
    /// # Errors
    /// As for [`headers`](Self::headers).
    pub fn blocking_token(&self) -> Result<AccessToken, Error> {
        self.0.source.holds_tokens()?;
        self.0.engine.blocking_get(self.mode()).map(AccessToken)
    }

    /// The token that is held, if it is valid. No I/O, and none is started.
    #[must_use]
    pub fn cached_token(&self) -> Option<AccessToken> {
        self.0.source.holds_tokens().ok()?;
        let (entry, _) = self.0.engine.keeper().read(self.0.engine.now())?;
        Some(AccessToken(entry.value))
    }

    /// When the token that is held expires. No I/O.
    #[must_use]
    pub fn expires_at(&self) -> Option<SystemTime> {
        self.cached_token()?.expires_at()
    }

    /// Asks for the account and for a token, now, and keeps both.
    ///
    /// The token was asked for after this was called. Calls that overlap share
    /// one request.
    ///
    /// # Errors
    /// As for [`headers`](Self::headers); the token that was held stays.
    pub async fn refresh(&self) -> Result<(), Error> {
        self.0.engine.refresh().await.map(drop)
    }

    /// [`refresh`](Self::refresh), waiting on this thread.
    ///
    /// # Errors
    /// As for [`refresh`](Self::refresh).
    pub fn blocking_refresh(&self) -> Result<(), Error> {
        self.0.engine.blocking_refresh().map(drop)
    }

    /// Drops `token`, because somebody rejected it, if it is still the one
    /// that is held; whether it was. The next call fetches another.
    pub fn invalidate(&self, token: &AccessToken) -> bool {
        let keeper = self.0.engine.keeper();
        keeper.invalidate(|held| held.value == token.0.value)
    }

    /// Drops the token in `headers`: see [`invalidate`](Self::invalidate).
    pub fn invalidate_headers(&self, headers: &Headers) -> bool {
        let keeper = self.0.engine.keeper();
        keeper.invalidate(|held| headers.bearer.as_ref() == Some(&held.value))
    }

    /// What is known without asking anybody: no I/O, no wait.
    #[must_use]
    pub fn status(&self) -> Status {
        let mut status = Status::of(self.0.engine.keeper(), self.0.engine.now());
        status.scopes_not_granted = self.0.source.known_account().map(|account| {
            let asked = self.0.settled.wish.scopes.as_slice().iter();
            asked
                .filter(|scope| !account.scopes.contains(scope))
                .cloned()
                .collect()
        });
        status
    }

    /// The account behind these credentials, from the metadata server.
    ///
    /// # Errors
    /// As for [`MetadataClient::account_info`].
    pub async fn account(&self) -> Result<AccountInfo, Error> {
        let client = &self.0.source.client;
        client.account_info(&self.0.settled.wish.account).await
    }

    /// [`account`](Self::account), waiting on this thread.
    ///
    /// # Errors
    /// As for [`MetadataClient::account_info`].
    pub fn blocking_account(&self) -> Result<AccountInfo, Error> {
        let client = &self.0.source.client;
        client.blocking_account_info(&self.0.settled.wish.account)
    }

    /// The email address of the account if it is known, after
    /// [`refresh`](Self::refresh); until then the name that was asked for.
    #[must_use]
    pub fn service_account_email(&self) -> String {
        self.0.source.known_account().map_or_else(
            || self.0.settled.wish.account.clone(),
            |account| account.email,
        )
    }

    /// The scopes to ask for.
    #[must_use]
    pub fn scopes(&self) -> &[String] {
        self.0.settled.wish.scopes.as_slice()
    }

    /// The quota project, if one is set.
    #[must_use]
    pub fn quota_project_id(&self) -> Option<&str> {
        self.0.settled.user_project.as_ref()?.to_str().ok()
    }

    /// The universe domain: what was set, else what the metadata server says,
    /// which is asked once.
    ///
    /// # Errors
    /// Whatever keeps the server from answering; an error is never taken for
    /// the default universe.
    pub async fn universe_domain(&self) -> Result<String, Error> {
        if let Some(known) = self.known_universe() {
            return Ok(known);
        }
        let found = self.0.source.client.universe_domain().await?;
        Ok(self.0.universe.get_or_init(|| found).clone())
    }

    /// [`universe_domain`](Self::universe_domain), waiting on this thread.
    ///
    /// # Errors
    /// As for [`universe_domain`](Self::universe_domain).
    pub fn blocking_universe_domain(&self) -> Result<String, Error> {
        if let Some(known) = self.known_universe() {
            return Ok(known);
        }
        let found = self.0.source.client.blocking_universe_domain()?;
        Ok(self.0.universe.get_or_init(|| found).clone())
    }

    /// The client that these credentials ask through.
    #[must_use]
    pub fn client(&self) -> &MetadataClient {
        &self.0.source.client
    }

    /// Changes what happens when a token is stale, for this credential and its
    /// clones; the token stays.
    pub fn set_refresh_mode(&self, mode: RefreshMode) {
        let blocking = mode == RefreshMode::Blocking;
        self.0.blocking.store(blocking, Ordering::Relaxed);
    }

    /// Other credentials, with these scopes.
    #[must_use]
    pub fn with_scopes<I>(&self, scopes: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        self.with(|settled| settled.wish.scopes = Scopes::new(scopes))
    }

    /// Other credentials, with this quota project.
    ///
    /// # Errors
    /// [`Config`](crate::ErrorKind::Config) for what cannot be a project.
    pub fn with_quota_project(&self, project: &str) -> Result<Self, Error> {
        let value = quota_project(project)?;
        Ok(self.with(|settled| settled.user_project = Some(value)))
    }

    /// Other credentials, for another service account.
    ///
    /// # Errors
    /// [`Config`](crate::ErrorKind::Config) for what cannot be an account.
    pub fn with_service_account(&self, account: &str) -> Result<Self, Error> {
        MetadataPath::account(account, "token")?;
        Ok(self.with(|settled| account.clone_into(&mut settled.wish.account)))
    }

    /// Other credentials, in this universe.
    #[must_use]
    pub fn with_universe_domain(&self, domain: impl Into<String>) -> Self {
        self.with(|settled| settled.universe_domain = Some(domain.into()))
    }

    fn with(&self, change: impl FnOnce(&mut Settled)) -> Self {
        let mut settled = self.0.settled.clone();
        change(&mut settled);
        if self.0.source.origin != Origin::Server {
            // Whatever is asked for, there is one token and no other.
            let (source, keeper) = (
                Arc::clone(&self.0.source),
                Arc::clone(self.0.engine.keeper()),
            );
            return Self::with_source(source, keeper, settled, &self.0.family);
        }
        Self::assemble(self.0.source.client.clone(), settled, &self.0.family)
    }

    fn known_universe(&self) -> Option<String> {
        let set = self.0.settled.universe_domain.as_ref();
        set.or_else(|| self.0.universe.get()).cloned()
    }

    fn mode(&self) -> RefreshMode {
        if self.0.blocking.load(Ordering::Relaxed) {
            RefreshMode::Blocking
        } else {
            RefreshMode::Background
        }
    }

    fn hot_headers(&self) -> Option<Headers> {
        self.cached(self.mode(), Headers::clone)
    }

    fn cached<R>(&self, mode: RefreshMode, lend: impl FnOnce(&Headers) -> R) -> Option<R> {
        self.0.engine.cached(mode, |bearer| self.show(bearer), lend)
    }

    fn show(&self, bearer: &Bearer) -> Headers {
        let bearer = (!self.0.source.is_anonymous()).then(|| bearer.value.clone());
        Headers::new(bearer, self.0.settled.user_project.clone())
    }
}

impl Default for Credentials {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("service_account", &self.0.settled.wish.account)
            .field("scopes", &self.scopes())
            .field("quota_project_id", &self.quota_project_id())
            .field("client", self.client())
            .finish_non_exhaustive()
    }
}
