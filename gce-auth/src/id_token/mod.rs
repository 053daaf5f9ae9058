//! Floor 5: ID tokens, one audience at a time.

mod source;
mod token;

use std::{fmt, sync::Arc, time::SystemTime};

use http::HeaderValue;

pub use crate::id_token::token::{ComputeEngineClaims, IdToken, IdTokenClaims};
use crate::{
    client::settings::MetadataClient,
    credentials::{Status, quota_project},
    engine::{Engine, RefreshMode},
    id_token::source::{Audiences, IdWish, IdentitySource},
    values::{
        error::{Error, ErrorKind},
        headers::Headers,
        token::Bearer,
    },
    wire::request::{IdTokenFormat, MetadataPath},
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
pub struct IdTokenCredentials(Arc<Inner>);

struct Inner {
    engine: Engine<IdentitySource>,
    source: Arc<IdentitySource>,
    audiences: Arc<Audiences>,
    user_project: Option<HeaderValue>,
    mode: RefreshMode,
}

impl IdTokenCredentials {
    /// ID tokens of the default service account for `audience`.
    ///
    /// Never fails: where the environment, or the audience, makes no sense,
    /// the first call says so. [`builder`](Self::builder) fails early.
    #[must_use]
    pub fn new(audience: impl Into<String>) -> Self {
        let builder = Self::builder(audience);
        Self::assemble(
            MetadataClient::new(),
            builder.wish,
            None,
            RefreshMode::default(),
            Arc::default(),
        )
    }

    /// Credentials for `audience`, to be configured.
    pub fn builder(audience: impl Into<String>) -> IdTokenCredentialsBuilder {
        IdTokenCredentialsBuilder {
            client: None,
            endpoint: None,
            wish: IdWish {
                account: "default".to_owned(),
                audience: audience.into(),
                format: IdTokenFormat::default(),
                licenses: false,
            },
            quota_project_id: None,
            mode: RefreshMode::default(),
        }
    }

    fn assemble(
        client: MetadataClient,
        wish: IdWish,
        user_project: Option<HeaderValue>,
        mode: RefreshMode,
        audiences: Arc<Audiences>,
    ) -> Self {
        let keeper = source::keeper(&client, &wish);
        audiences.0.keep(&keeper);
        let (clock, executor) = (Arc::clone(&client.0.clock), Arc::clone(&client.0.executor));
        let source = Arc::new(IdentitySource { client, wish });
        Self(Arc::new(Inner {
            engine: Engine::new(keeper, Arc::clone(&source), clock, executor),
            source,
            audiences,
            user_project,
            mode,
        }))
    }

    /// The headers of a request to whoever the audience is.
    ///
    /// # Errors
    /// Whatever keeps the metadata server from giving a token; see
    /// [`ErrorKind`]. Never while a valid token is in hand.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing: the request, if one was begun, ends
    /// by itself and its token is kept.
    pub async fn headers(&self) -> Result<Headers, Error> {
        match self.hot_headers() {
            Some(headers) => Ok(headers),
            None => {
                let bearer = self.0.engine.get(self.0.mode).await?;
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
                let bearer = self.0.engine.blocking_get(self.0.mode)?;
                Ok(self.show(&bearer))
            }
        }
    }

    /// The headers, if a valid token is in hand. Never waits, and starts a
    /// refresh in the background when one is due.
    #[must_use]
    pub fn cached_headers(&self) -> Option<Headers> {
        let engine = &self.0.engine;
        let background = RefreshMode::Background;
        let cached = engine.cached(background, |bearer| self.show(bearer), Headers::clone);
        if cached.is_none() {
            engine.start();
        }
        cached
    }

    /// The ID token.
    ///
    /// # Errors
    /// As for [`headers`](Self::headers).
    pub async fn token(&self) -> Result<IdToken, Error> {
        self.0.engine.get(self.0.mode).await.map(IdToken)
    }

    /// [`token`](Self::token), waiting on this thread.
    ///
    /// # Errors
    /// As for [`headers`](Self::headers).
    pub fn blocking_token(&self) -> Result<IdToken, Error> {
        self.0.engine.blocking_get(self.0.mode).map(IdToken)
    }

    /// The token that is held, if it is valid. No I/O, and none is started.
    #[must_use]
    pub fn cached_token(&self) -> Option<IdToken> {
        let (entry, _) = self.0.engine.keeper().read(self.0.engine.now())?;
        Some(IdToken(entry.value))
    }

    /// When the token that is held expires. No I/O.
    #[must_use]
    pub fn expires_at(&self) -> Option<SystemTime> {
        self.cached_token()?.expires_at()
    }

    /// Asks for a token, now, and keeps it.
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
    pub fn invalidate(&self, token: &IdToken) -> bool {
        let keeper = self.0.engine.keeper();
        keeper.invalidate(|held| held.value == token.0.value)
    }

    /// What is known without asking anybody: no I/O, no wait.
    #[must_use]
    pub fn status(&self) -> Status {
        Status::of(self.0.engine.keeper(), self.0.engine.now())
    }

    /// Whom the tokens are for.
    #[must_use]
    pub fn target_audience(&self) -> &str {
        &self.0.source.wish.audience
    }

    /// Other credentials, for another audience.
    ///
    /// # Errors
    /// [`Config`](ErrorKind::Config) for an empty audience.
    pub fn with_target_audience(&self, audience: impl Into<String>) -> Result<Self, Error> {
        let mut wish = self.0.source.wish.clone();
        wish.audience = audience.into();
        check(&wish)?;
        Ok(Self::assemble(
            self.0.source.client.clone(),
            wish,
            self.0.user_project.clone(),
            self.0.mode,
            Arc::clone(&self.0.audiences),
        ))
    }

    fn hot_headers(&self) -> Option<Headers> {
        let engine = &self.0.engine;
        engine.cached(self.0.mode, |bearer| self.show(bearer), Headers::clone)
    }

    fn show(&self, bearer: &Bearer) -> Headers {
        Headers::new(Some(bearer.value.clone()), self.0.user_project.clone())
    }
}

impl fmt::Debug for IdTokenCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IdTokenCredentials")
            .field("service_account", &self.0.source.wish.account)
            .field("target_audience", &self.target_audience())
            .field("client", &self.0.source.client)
            .finish_non_exhaustive()
    }
}

/// Configures [`IdTokenCredentials`].
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until it is built"]
pub struct IdTokenCredentialsBuilder {
    client: Option<MetadataClient>,
    endpoint: Option<String>,
    wish: IdWish,
    quota_project_id: Option<String>,
    mode: RefreshMode,
}

impl IdTokenCredentialsBuilder {
    /// Reaches the metadata server through this client.
    pub fn client(mut self, client: MetadataClient) -> Self {
        self.client = Some(client);
        self
    }

    /// Where the metadata server is: short for a client with this endpoint.
    pub fn endpoint(mut self, endpoint: impl Into<String>) -> Self {
        self.endpoint = Some(endpoint.into());
        self
    }

    /// The service account to be: an email address, or `default`, which it is
    /// unless said otherwise.
    pub fn service_account(mut self, account: impl Into<String>) -> Self {
        self.wish.account = account.into();
        self
    }

    /// What the token says: full (the default) or the standard claims alone.
    pub fn format(mut self, format: IdTokenFormat) -> Self {
        self.wish.format = format;
        self
    }

    /// Whether a full token names the licences of the instance's images.
    pub fn licenses(mut self, licenses: bool) -> Self {
        self.wish.licenses = licenses;
        self
    }

    /// The project that is billed (`x-goog-user-project`).
    pub fn quota_project_id(mut self, project: impl Into<String>) -> Self {
        self.quota_project_id = Some(project.into());
        self
    }

    /// What happens when a token is stale.
    pub fn refresh_mode(mut self, mode: RefreshMode) -> Self {
        self.mode = mode;
        self
    }

    /// Builds the credentials; reads the environment, and does nothing else.
    ///
    /// # Errors
    /// [`Config`](ErrorKind::Config) where a setting, or a variable of the
    /// environment, makes no sense.
    pub fn build(self) -> Result<IdTokenCredentials, Error> {
        check(&self.wish)?;
        let client = MetadataClient::one_of(self.client, self.endpoint)?;
        let user_project = self
            .quota_project_id
            .as_deref()
            .map(quota_project)
            .transpose()?;
        Ok(IdTokenCredentials::assemble(
            client,
            self.wish,
            user_project,
            self.mode,
            Arc::default(),
        ))
    }
}

fn check(wish: &IdWish) -> Result<(), Error> {
    MetadataPath::account(&wish.account, "identity")?;
    if wish.audience.is_empty() {
        return Err(
            Error::new(ErrorKind::Config, "an ID token needs an audience").with_hint(
                "name whom the token is for, such as the URL of the service that receives it",
            ),
        );
    }
    Ok(())
}
