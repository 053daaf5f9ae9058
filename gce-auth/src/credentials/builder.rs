//! Configures credentials; does nothing else.

use std::sync::Arc;

use http::HeaderValue;

use crate::{
    client::config::MetadataClient,
    credentials::{
        Credentials, Settled,
        source::{Learned, Wish},
    },
    refresh::RefreshMode,
    values::{
        error::{Error, ErrorKind},
        scope::Scopes,
    },
    wire::request::MetadataPath,
};

/// Configures [`Credentials`].
///
/// # Examples
/// ```
/// use gce_auth::Credentials;
///
/// # fn main() -> Result<(), gce_auth::Error> {
/// let credentials = Credentials::builder()
///     .scopes(["https://www.googleapis.com/auth/devstorage.read_only"])
///     .quota_project_id("billed-project")
///     .build()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "a builder does nothing until it is built"]
pub struct CredentialsBuilder {
    client: Option<MetadataClient>,
    endpoint: Option<String>,
    account: Option<String>,
    scopes: Option<Scopes>,
    default_scopes: Option<Scopes>,
    enforce_scopes: bool,
    quota_project_id: Option<String>,
    universe_domain: Option<String>,
    expected: Option<String>,
    mode: RefreshMode,
    unshared: bool,
    #[cfg(feature = "iam")]
    boundary: bool,
}

impl CredentialsBuilder {
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
        self.account = Some(account.into());
        self
    }

    /// The OAuth 2.0 scopes to ask for.
    ///
    /// Compute Engine and App Engine flexible ignore the wish: the token has
    /// the scopes of the instance. Cloud Run, Cloud Run functions, App Engine
    /// standard and GKE with Workload Identity honour it. See
    /// [`enforce_scopes`](Self::enforce_scopes).
    pub fn scopes<I>(mut self, scopes: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        self.scopes = Some(Scopes::new(scopes));
        self
    }

    /// The scopes to ask for where the program names none and the account has
    /// none: what a library asks for on a program's behalf.
    pub fn default_scopes<I>(mut self, scopes: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        self.default_scopes = Some(Scopes::new(scopes));
        self
    }

    /// Asks Compute Engine, too, for a token with the given scopes and no more
    /// (`enforce_scopes`, Google, "View and query VM metadata"). They must be
    /// among those of the instance.
    pub fn enforce_scopes(mut self, enforce: bool) -> Self {
        self.enforce_scopes = enforce;
        self
    }

    /// The project that is billed, and whose quota is used, for the requests
    /// that carry these credentials (`x-goog-user-project`).
    pub fn quota_project_id(mut self, project: impl Into<String>) -> Self {
        self.quota_project_id = Some(project.into());
        self
    }

    /// The universe domain, where it is known: then nobody is asked for it.
    pub fn universe_domain(mut self, domain: impl Into<String>) -> Self {
        self.universe_domain = Some(domain.into());
        self
    }

    /// The identity that every token must be of. A token that comes while the
    /// server speaks for another email address is an error, and is not kept.
    /// Costs one more request for each token.
    pub fn expect_account(mut self, email: impl Into<String>) -> Self {
        self.expected = Some(email.into());
        self
    }

    /// What happens when a token is stale.
    pub fn refresh_mode(mut self, mode: RefreshMode) -> Self {
        self.mode = mode;
        self
    }

    /// Shares no token with other credentials of this process, and starts
    /// without one.
    pub fn unshared(mut self) -> Self {
        self.unshared = true;
        self
    }

    /// Sends the regional access boundary of the account (`x-allowed-locations`)
    /// with each request: looked up through the IAM API in the background, with
    /// the first use and again an hour before it ends. No request waits for it,
    /// and none fails because of it. `before_request` alone waits for the
    /// universe domain, each time until that is known, as google-auth's does:
    /// [`universe_domain`](Self::universe_domain) spares it the question.
    ///
    /// Off unless asked for: it costs requests to `iamcredentials.googleapis.com`,
    /// and one for the universe domain. google-auth does this by default.
    #[cfg(feature = "iam")]
    pub fn regional_access_boundary(mut self, look_up: bool) -> Self {
        self.boundary = look_up;
        self
    }

    /// Builds the credentials; reads the environment, and does nothing else.
    ///
    /// # Errors
    /// [`Config`](ErrorKind::Config) where a setting, or a variable of the
    /// environment, makes no sense.
    pub fn build(self) -> Result<Credentials, Error> {
        let client = MetadataClient::one_of(self.client, self.endpoint)?;
        let account = self.account.unwrap_or_else(|| "default".to_owned());
        MetadataPath::account(&account, "token")?;
        let wish = Wish {
            account,
            scopes: self.scopes,
            default_scopes: self.default_scopes,
            enforce_scopes: self.enforce_scopes,
            expected: self.expected,
        };
        let settled = Settled {
            user_project: self
                .quota_project_id
                .as_deref()
                .map(quota_project)
                .transpose()?,
            universe_domain: self.universe_domain.filter(|domain| !domain.is_empty()),
            mode: self.mode,
            shared: !self.unshared,
            #[cfg(feature = "iam")]
            boundary: self.boundary,
            ..Settled::new(wish)
        };
        let (learned, family) = (Learned::default(), Arc::default());
        Ok(Credentials::assemble(client, settled, learned, &family))
    }
}

/// A quota project as a header value.
pub(crate) fn quota_project(id: &str) -> Result<HeaderValue, Error> {
    let refuse = || {
        Error::new(ErrorKind::Config, format!("{id:?} is not a project id"))
            .with_hint("a quota project is named by its id or its number")
    };
    if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(refuse());
    }
    HeaderValue::from_str(id).map_err(|_| refuse())
}
