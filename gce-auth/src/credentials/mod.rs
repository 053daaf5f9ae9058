//! Floor 5: access tokens, and the headers made of them.

#[cfg(feature = "tls")]
pub(crate) mod binding;
#[cfg(feature = "iam")]
mod boundary;
mod builder;
mod copies;
#[cfg(any(test, feature = "test-util"))]
mod fixed;
pub(crate) mod renewal;
mod request;
pub(crate) mod source;
pub(crate) mod state;
mod status;
mod universe;
mod wait;

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use http::HeaderValue;

pub(crate) use crate::credentials::builder::quota_project;
pub use crate::credentials::{
    builder::CredentialsBuilder,
    state::CredentialsInfo,
    status::{Status, TokenState},
};
use crate::{
    client::settings::MetadataClient,
    credentials::{
        renewal::Renewals,
        source::{FAMILY_BOUND, Learned, TokenFamily, TokenKeeper, TokenSource, Universe, Wish},
    },
    engine::{Engine, RefreshMode, registry::Family},
    provide::{HeadersFuture, ProvideHeaders},
    values::{
        error::Error,
        headers::{Headers, HeadersTag},
        token::{AccessToken, Bearer},
    },
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
    renewals: Renewals,
    #[cfg(feature = "iam")]
    boundary: Option<Arc<boundary::Boundary>>,
}

/// The settings of one credential, checked.
#[derive(Clone)]
pub(crate) struct Settled {
    pub(crate) wish: Wish,
    pub(crate) user_project: Option<HeaderValue>,
    pub(crate) universe_domain: Option<String>,
    pub(crate) mode: RefreshMode,
    pub(crate) shared: bool,
    #[cfg(feature = "iam")]
    pub(crate) boundary: bool,
}

impl Settled {
    pub(crate) fn new(wish: Wish) -> Self {
        Self {
            wish,
            user_project: None,
            universe_domain: None,
            mode: RefreshMode::default(),
            shared: true,
            #[cfg(feature = "iam")]
            boundary: false,
        }
    }
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
        let settled = Settled::new(Wish::new());
        Self::assemble(
            MetadataClient::new(),
            settled,
            Learned::default(),
            &Arc::default(),
        )
    }

    /// Credentials to be configured.
    pub fn builder() -> CredentialsBuilder {
        CredentialsBuilder::default()
    }

    pub(crate) fn assemble(
        client: MetadataClient,
        settled: Settled,
        learned: Learned,
        family: &Arc<TokenFamily>,
    ) -> Self {
        let keeper = source::keeper(&client, &settled.wish, settled.shared);
        family.keep(&keeper);
        let source = Arc::new(TokenSource::new(client, settled.wish.clone(), learned));
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
            universe: Universe::new(),
            renewals: Renewals::default(),
            #[cfg(feature = "iam")]
            boundary: settled.boundary.then(Arc::default),
            settled,
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

    /// The headers, if they are not those that `tag` stands for: `None` says
    /// that nothing has changed, and nothing is built to say so.
    ///
    /// # Errors
    /// As for [`headers`](Self::headers).
    ///
    /// # Examples
    /// ```no_run
    /// # async fn call(credentials: gce_auth::Credentials) -> Result<(), gce_auth::Error> {
    /// let mut headers = credentials.headers().await?;
    /// // Before each request:
    /// if let Some(changed) = credentials.headers_if_changed(&headers.tag()).await? {
    ///     headers = changed;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn headers_if_changed(&self, tag: &HeadersTag) -> Result<Option<Headers>, Error> {
        match self.hot_change(tag) {
            Some(change) => Ok(change),
            None => Ok(Some(self.headers().await?).filter(|headers| *headers != tag.0)),
        }
    }

    /// [`headers_if_changed`](Self::headers_if_changed), waiting on this thread.
    ///
    /// # Errors
    /// As for [`headers`](Self::headers).
    pub fn blocking_headers_if_changed(&self, tag: &HeadersTag) -> Result<Option<Headers>, Error> {
        match self.hot_change(tag) {
            Some(change) => Ok(change),
            None => Ok(Some(self.blocking_headers()?).filter(|headers| *headers != tag.0)),
        }
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
        status.scopes_not_granted = self.0.source.learned().account.map(|account| {
            let asked = self.0.settled.wish.scopes.iter();
            asked
                .flat_map(|scopes| scopes.as_slice())
                .filter(|scope| !account.scopes.contains(scope))
                .cloned()
                .collect()
        });
        status
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

    /// What has changed since `tag`, if that can be told without waiting.
    #[expect(clippy::option_option, reason = "known or not, changed or not")]
    fn hot_change(&self, tag: &HeadersTag) -> Option<Option<Headers>> {
        self.cached(self.mode(), |headers| {
            (*headers != tag.0).then(|| headers.clone())
        })
    }

    #[cfg(not(feature = "iam"))]
    fn cached<R>(&self, mode: RefreshMode, lend: impl FnOnce(&Headers) -> R) -> Option<R> {
        self.0.engine.cached(mode, |bearer| self.show(bearer), lend)
    }

    #[cfg(feature = "iam")]
    fn cached<R>(&self, mode: RefreshMode, lend: impl FnOnce(&Headers) -> R) -> Option<R> {
        let engine = &self.0.engine;
        let Some(boundary) = &self.0.boundary else {
            return engine.cached(mode, |bearer| self.show(bearer), lend);
        };
        self.renew_boundary();
        // The boundary has a life of its own, and is not a part of the copy.
        let shown = engine.cached(mode, |bearer| self.show_token(bearer), Headers::clone)?;
        Some(lend(&Headers {
            locations: boundary.header(engine.now()),
            ..shown
        }))
    }

    fn show(&self, bearer: &Bearer) -> Headers {
        #[cfg(feature = "iam")]
        if let Some(boundary) = &self.0.boundary {
            return Headers {
                locations: boundary.header(self.0.engine.now()),
                ..self.show_token(bearer)
            };
        }
        self.show_token(bearer)
    }

    fn show_token(&self, bearer: &Bearer) -> Headers {
        let bearer = (!self.0.source.is_anonymous()).then(|| bearer.value.clone());
        Headers::new(bearer, self.0.settled.user_project.clone())
    }
}

impl Default for Credentials {
    fn default() -> Self {
        Self::new()
    }
}

impl ProvideHeaders for Credentials {
    fn provide_headers(&self) -> HeadersFuture<'_> {
        match self.hot_headers() {
            Some(headers) => HeadersFuture::ready(Ok(headers)),
            None => HeadersFuture::new(self.headers()),
        }
    }

    fn invalidate_headers(&self, rejected: &Headers) -> bool {
        Self::invalidate_headers(self, rejected)
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
