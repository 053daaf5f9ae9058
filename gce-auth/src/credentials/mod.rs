//! Floor 5: access tokens, and the headers made of them.

#[cfg(feature = "tls")]
pub(crate) mod binding;
#[cfg(feature = "iam")]
mod boundary;
mod builder;
mod copies;
#[cfg(any(test, feature = "test-util"))]
mod fixed;
mod hand_out;
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

#[cfg(feature = "iam")]
use crate::credentials::boundary::Boundary;
pub(crate) use crate::credentials::builder::quota_project;
pub(crate) use crate::credentials::status::LastBinding;
pub use crate::credentials::{
    builder::CredentialsBuilder,
    state::CredentialsInfo,
    status::{CertificateBinding, Status, TokenState},
};
use crate::{
    client::config::MetadataClient,
    credentials::{
        renewal::Renewals,
        source::{FAMILY_BOUND, Learned, TokenFamily, TokenKeeper, TokenSource, Universe, Wish},
    },
    refresh::{Engine, RefreshMode, shared_map::Family},
    values::{
        error::Error,
        headers::{ExtraHeaders, Headers},
        token::AccessToken,
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
    /// What is sent besides the token, but for the boundary.
    besides: Option<Arc<ExtraHeaders>>,
    source: Arc<TokenSource>,
    family: Arc<TokenFamily>,
    settled: Settled,
    blocking: AtomicBool,
    universe: Universe,
    renewals: Renewals,
    #[cfg(feature = "iam")]
    boundary: Option<Arc<Boundary>>,
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
            besides: ExtraHeaders::of(settled.user_project.as_ref()),
            source,
            family: Arc::clone(family),
            blocking: AtomicBool::new(settled.mode == RefreshMode::Blocking),
            universe: Universe::new(),
            renewals: Renewals::default(),
            #[cfg(feature = "iam")]
            boundary: settled
                .boundary
                .then(|| Arc::new(Boundary::beside(settled.user_project.clone()))),
            settled,
        }))
    }

    /// The access token, and when it expires.
    ///
    /// # Errors
    /// As for [`headers`](Self::headers).
    pub async fn token(&self) -> Result<AccessToken, Error> {
        self.0.source.holds_tokens()?;
        match self.hot_token() {
            Some(token) => Ok(token),
            None => self.0.engine.get(self.mode()).await.map(AccessToken),
        }
    }

    /// [`token`](Self::token), waiting on this thread.
    ///
    /// # Errors
    /// As for [`headers`](Self::headers).
    pub fn blocking_token(&self) -> Result<AccessToken, Error> {
        self.0.source.holds_tokens()?;
        match self.hot_token() {
            Some(token) => Ok(token),
            None => self.0.engine.blocking_get(self.mode()).map(AccessToken),
        }
    }

    /// Drops `token`, because somebody rejected it, if it is still the one
    /// that is held; whether it was. The next call fetches another.
    ///
    /// Where the same token comes again, it may be the one who rejects it that
    /// is wrong. It then stays, however often it is rejected, as others may
    /// live on it: `false`, and every 10 s `true`, when another one is asked
    /// for in the background.
    #[expect(clippy::must_use_candidate, reason = "it does something")]
    pub fn invalidate(&self, token: &AccessToken) -> bool {
        let keeper = self.0.engine.keeper();
        let now = self.0.engine.now();
        keeper.invalidate(now, |held| held.is_same(&token.0))
    }

    /// Drops the token in `headers`: see [`invalidate`](Self::invalidate).
    #[expect(clippy::must_use_candidate, reason = "it does something")]
    pub fn invalidate_headers(&self, headers: &Headers) -> bool {
        let keeper = self.0.engine.keeper();
        let now = self.0.engine.now();
        // What stands for "no token" is nobody's to reject.
        let named = headers.authorization().is_some();
        named && keeper.invalidate(now, |held| headers.hold(held))
    }

    /// What is known without asking anybody: no I/O, no wait.
    #[must_use]
    pub fn status(&self) -> Status {
        let mut status = Status::of(self.0.engine.keeper(), self.0.engine.now());
        status.certificate_binding = self.0.source.binding.get();
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

    #[inline]
    fn mode(&self) -> RefreshMode {
        if self.0.blocking.load(Ordering::Relaxed) {
            RefreshMode::Blocking
        } else {
            RefreshMode::Background
        }
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

#[cfg(all(test, not(gce_auth_loom)))]
mod tests;
