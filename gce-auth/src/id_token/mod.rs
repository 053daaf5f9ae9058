//! Floor 5: ID tokens, one audience at a time.

mod builder;
mod copies;
#[cfg(feature = "iam")]
mod grant;
mod request;
#[cfg(feature = "iam")]
mod signing;
mod source;
mod state;
mod token;

use std::{
    borrow::Cow,
    fmt,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};

use http::HeaderValue;

#[cfg(feature = "iam")]
pub use crate::id_token::grant::{JwtAlgorithm, JwtSigner};
pub use crate::id_token::{
    builder::IdTokenCredentialsBuilder,
    source::BindIdToken,
    token::{ComputeEngineClaims, IdToken, IdTokenClaims},
};
use crate::{
    client::config::MetadataClient,
    credentials::{LastBinding, Status, renewal::Renewals},
    id_token::source::{Audiences, IdentitySource},
    provide::{HeadersFuture, ProvideHeaders},
    refresh::{Engine, RefreshMode, reader::Reader},
    values::{
        error::Error,
        headers::{ExtraHeaders, Headers, HeadersTag},
        token::Bearer,
    },
};

/// OpenID Connect ID tokens of a service account for one audience, from the
/// metadata identity endpoint.
///
/// Cheap to clone, and shared, renewed and kept by the same rules as
/// [`Credentials`](crate::Credentials). Making one does no I/O.
///
/// # Examples
/// ```no_run
/// # async fn call() -> Result<(), gce_auth::Error> {
/// use gce_auth::IdTokenCredentials;
///
/// let credentials = IdTokenCredentials::new("https://service.example");
/// let headers = credentials.headers().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct IdTokenCredentials {
    inner: Arc<Inner>,
    // What a hit reads stands here and not behind the pointer: whoever has
    // thousands of these waits for memory more than for anything else.
    front: Reader<Bearer>,
    /// What is sent besides the token.
    besides: Option<Arc<ExtraHeaders>>,
}

struct Inner {
    engine: Engine<IdentitySource>,
    source: Arc<IdentitySource>,
    audiences: Arc<Audiences>,
    settled: Settled,
    blocking: AtomicBool,
    renewals: Renewals,
}

/// The settings of one credential, checked.
#[derive(Clone)]
struct Settled {
    user_project: Option<HeaderValue>,
    mode: RefreshMode,
    shared: bool,
}

impl IdTokenCredentials {
    /// ID tokens of the default service account for `audience`.
    ///
    /// Never fails: where the environment, or the audience, makes no sense,
    /// the first call says so. [`builder`](Self::builder) fails early.
    #[must_use]
    pub fn new(audience: impl Into<String>) -> Self {
        let source = IdentitySource {
            client: MetadataClient::new(),
            wish: Self::builder(audience).wish,
            email: OnceLock::new(),
            binding: LastBinding::default(),
            #[cfg(feature = "iam")]
            grantor: None,
        };
        let settled = Settled {
            user_project: None,
            mode: RefreshMode::default(),
            shared: true,
        };
        Self::with(source, settled, &Arc::default())
    }

    /// Credentials for `audience`, to be configured.
    pub fn builder(audience: impl Into<String>) -> IdTokenCredentialsBuilder {
        IdTokenCredentialsBuilder::new(audience.into())
    }

    fn with(source: IdentitySource, settled: Settled, audiences: &Arc<Audiences>) -> Self {
        let keeper = source.keeper(settled.shared);
        audiences.0.keep(&keeper);
        let settings = &source.client.0;
        let (clock, executor) = (Arc::clone(&settings.clock), Arc::clone(&settings.executor));
        let source = Arc::new(source);
        let engine = Engine::new(keeper, Arc::clone(&source), clock, executor);
        Self {
            front: engine.front().clone(),
            besides: ExtraHeaders::of(settled.user_project.as_ref()),
            inner: Arc::new(Inner {
                engine,
                source,
                audiences: Arc::clone(audiences),
                blocking: AtomicBool::new(settled.mode == RefreshMode::Blocking),
                settled,
                renewals: Renewals::default(),
            }),
        }
    }

    /// The headers of a request to whoever the audience is.
    ///
    /// # Errors
    /// Whatever keeps the metadata server from giving a token; see
    /// [`ErrorKind`](crate::ErrorKind). Never while a valid token is in hand.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing: the request, if one was begun, ends
    /// by itself and its token is kept.
    pub async fn headers(&self) -> Result<Headers, Error> {
        match self.hot_headers() {
            Some(headers) => Ok(headers),
            None => {
                let bearer = self.inner.engine.get(self.mode()).await?;
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
                let bearer = self.inner.engine.blocking_get(self.mode())?;
                Ok(self.show(&bearer))
            }
        }
    }

    /// The headers, if a valid token is in hand. Never waits, and starts a
    /// refresh in the background when one is due.
    #[must_use]
    pub fn cached_headers(&self) -> Option<Headers> {
        let cached = self.cached(|| RefreshMode::Background, |shown| shown.into_owned());
        if cached.is_none() {
            self.inner.engine.start();
        }
        cached
    }

    /// The headers, if they are not those that `tag` stands for; `None` says
    /// that nothing has changed.
    ///
    /// # Errors
    /// As for [`headers`](Self::headers).
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

    /// The ID token.
    ///
    /// # Errors
    /// As for [`headers`](Self::headers).
    pub async fn token(&self) -> Result<IdToken, Error> {
        match self.hot_token() {
            Some(token) => Ok(token),
            None => self.inner.engine.get(self.mode()).await.map(IdToken),
        }
    }

    /// [`token`](Self::token), waiting on this thread.
    ///
    /// # Errors
    /// As for [`headers`](Self::headers).
    pub fn blocking_token(&self) -> Result<IdToken, Error> {
        match self.hot_token() {
            Some(token) => Ok(token),
            None => self.inner.engine.blocking_get(self.mode()).map(IdToken),
        }
    }

    /// Asks for a token, now, and keeps it.
    ///
    /// # Errors
    /// As for [`headers`](Self::headers); the token that was held stays.
    pub async fn refresh(&self) -> Result<(), Error> {
        self.inner.engine.refresh().await.map(drop)
    }

    /// [`refresh`](Self::refresh), waiting on this thread.
    ///
    /// # Errors
    /// As for [`refresh`](Self::refresh).
    pub fn blocking_refresh(&self) -> Result<(), Error> {
        self.inner.engine.blocking_refresh().map(drop)
    }

    /// Drops `token`, because somebody rejected it, if it is still the one
    /// that is held; whether it was. The next call fetches another.
    ///
    /// Where the same token comes again, it may be the one who rejects it that
    /// is wrong. It then stays, however often it is rejected, as others may
    /// live on it: `false`, and every 10 s `true`, when another one is asked
    /// for in the background.
    #[expect(clippy::must_use_candidate, reason = "it does something")]
    pub fn invalidate(&self, token: &IdToken) -> bool {
        let keeper = self.inner.engine.keeper();
        let now = self.inner.engine.now();
        keeper.invalidate(now, |held| held.is_same(&token.0))
    }

    /// What is known without asking anybody: no I/O, no wait.
    #[must_use]
    pub fn status(&self) -> Status {
        let mut status = Status::of(self.inner.engine.keeper(), self.inner.engine.now());
        status.certificate_binding = self.inner.source.binding.get();
        status
    }

    /// Drops the token in `headers`: see [`invalidate`](Self::invalidate).
    #[expect(clippy::must_use_candidate, reason = "it does something")]
    pub fn invalidate_headers(&self, headers: &Headers) -> bool {
        let keeper = self.inner.engine.keeper();
        let now = self.inner.engine.now();
        keeper.invalidate(now, |held| headers.hold(held))
    }

    /// The client that these credentials ask through.
    #[must_use]
    pub fn client(&self) -> &MetadataClient {
        &self.inner.source.client
    }

    /// Changes what happens when a token is stale, for this credential and its
    /// clones; the token stays.
    pub fn set_refresh_mode(&self, mode: RefreshMode) {
        let blocking = mode == RefreshMode::Blocking;
        self.inner.blocking.store(blocking, Ordering::Relaxed);
    }

    #[inline]
    fn mode(&self) -> RefreshMode {
        if self.inner.blocking.load(Ordering::Relaxed) {
            RefreshMode::Blocking
        } else {
            RefreshMode::Background
        }
    }

    #[inline]
    fn hot_headers(&self) -> Option<Headers> {
        self.cached(|| self.mode(), |shown| shown.into_owned())
    }

    /// The token, if it is in hand.
    fn hot_token(&self) -> Option<IdToken> {
        self.cached(|| self.mode(), Headers::into_bearer)
            .map(IdToken)
    }

    /// What has changed since `tag`, if that can be told without waiting.
    #[expect(clippy::option_option, reason = "known or not, changed or not")]
    fn hot_change(&self, tag: &HeadersTag) -> Option<Option<Headers>> {
        self.cached(
            || self.mode(),
            |shown| (*shown != tag.0).then(|| shown.into_owned()),
        )
    }

    #[inline]
    fn cached<R>(
        &self,
        mode: impl Fn() -> RefreshMode,
        lend: impl FnOnce(Cow<'_, Headers>) -> R,
    ) -> Option<R> {
        let engine = &self.inner.engine;
        self.front
            .cached(engine, mode, |bearer| self.show(bearer), lend)
    }

    #[inline]
    fn show(&self, bearer: &Bearer) -> Headers {
        Headers::new(bearer.clone(), self.besides.clone())
    }
}

impl ProvideHeaders for IdTokenCredentials {
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

impl fmt::Debug for IdTokenCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IdTokenCredentials")
            .field("service_account", &self.inner.source.wish.account)
            .field("target_audience", &self.target_audience())
            .field("client", &self.inner.source.client)
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, not(gce_auth_loom)))]
mod tests;
