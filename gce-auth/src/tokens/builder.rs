//! Configures credentials; does nothing else.

use std::sync::Arc;

use crate::{
    client::config::MetadataClient,
    refresh::RefreshMode,
    tokens::{
        credentials::Credentials,
        handle::{Handle, Options},
        source::{
            account::Account,
            metadata_access::{MetadataAccess, TokenParams},
        },
    },
    values::{error::Error, headers::quota_project, scope::Scopes},
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
    /// Sets the client that the requests are sent through. Default: a new one,
    /// with the settings of the environment.
    pub fn client(mut self, client: MetadataClient) -> Self {
        self.client = Some(client);
        self
    }

    /// Sets where the metadata server is: short for a client with this endpoint.
    /// Not allowed together with [`client`](Self::client).
    pub fn endpoint(mut self, endpoint: impl Into<String>) -> Self {
        self.endpoint = Some(endpoint.into());
        self
    }

    /// Sets the service account: an email address or an alias. Default:
    /// `default`.
    pub fn service_account(mut self, account: impl Into<String>) -> Self {
        self.account = Some(account.into());
        self
    }

    /// Sets the OAuth 2.0 scopes to ask for. Default: those of the account.
    ///
    /// Compute Engine and App Engine flexible ignore them: the token has the
    /// scopes of the instance. Cloud Run, Cloud Run functions, App Engine
    /// standard and GKE with Workload Identity honour them. See
    /// [`enforce_scopes`](Self::enforce_scopes).
    pub fn scopes<I>(mut self, scopes: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        self.scopes = Some(Scopes::new(scopes));
        self
    }

    /// Sets the scopes to ask for if the program names none and the account has
    /// none: what a library asks for on a program's behalf. Default: none.
    pub fn default_scopes<I>(mut self, scopes: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        self.default_scopes = Some(Scopes::new(scopes));
        self
    }

    /// Sets whether Compute Engine, too, is requested to make a token with the
    /// given scopes and no more (`enforce_scopes`, Google, "View and query VM
    /// metadata"). They must be among those of the instance. Default: false.
    pub fn enforce_scopes(mut self, enforce: bool) -> Self {
        self.enforce_scopes = enforce;
        self
    }

    /// Sets the project that is billed, and whose quota is used, for the
    /// requests that carry these credentials (`x-goog-user-project`). Default:
    /// none.
    pub fn quota_project_id(mut self, project: impl Into<String>) -> Self {
        self.quota_project_id = Some(project.into());
        self
    }

    /// Sets the universe domain. Default: asks the metadata server, once, when
    /// it is needed.
    pub fn universe_domain(mut self, domain: impl Into<String>) -> Self {
        self.universe_domain = Some(domain.into());
        self
    }

    /// Sets the identity that every token must be of. A token that comes while
    /// the server speaks for another email address is an error, and is not
    /// kept. Costs one more request for each token. Default: not checked.
    pub fn expect_account(mut self, email: impl Into<String>) -> Self {
        self.expected = Some(email.into());
        self
    }

    /// Sets what happens when a token is stale. Default:
    /// [`RefreshMode::Background`].
    pub fn refresh_mode(mut self, mode: RefreshMode) -> Self {
        self.mode = mode;
        self
    }

    /// Sets whether the token is shared with credentials of this process that
    /// would send the same request. Default: true. Credentials that share none
    /// start without a token.
    pub fn shared(mut self, shared: bool) -> Self {
        self.unshared = !shared;
        self
    }

    /// Sets whether the regional access boundary of the account
    /// (`x-allowed-locations`) is sent with each request: looked up through the IAM API in the
    /// background, with the first use and again an hour before it ends. No request waits for
    /// it, and none fails because of it. `before_request` alone waits for the
    /// universe domain, each time until that is known, as google-auth's does:
    /// [`universe_domain`](Self::universe_domain) spares it the question.
    ///
    /// Default: false, as it costs requests to `iamcredentials.googleapis.com`,
    /// and one for the universe domain. google-auth does it by default until 2.62.
    #[cfg(feature = "iam")]
    pub fn regional_access_boundary(mut self, look_up: bool) -> Self {
        self.boundary = look_up;
        self
    }

    /// Builds the credentials; reads the environment, and does nothing else.
    ///
    /// # Errors
    /// [`Config`](crate::ErrorKind::Config) if a setting, or a variable of the
    /// environment, is not valid.
    pub fn build(self) -> Result<Credentials, Error> {
        let client = MetadataClient::one_of(self.client, self.endpoint)?;
        let name = self.account.unwrap_or_else(|| "default".to_owned());
        MetadataPath::account(&name, "token")?;
        let account = Account::new(name).expecting(self.expected);
        let project = self.quota_project_id.as_deref();
        let options = Options {
            user_project: project.map(quota_project).transpose()?,
            universe_domain: self.universe_domain.filter(|domain| !domain.is_empty()),
            mode: self.mode,
            shared: !self.unshared,
            #[cfg(feature = "iam")]
            boundary: self.boundary,
        };
        let params = TokenParams {
            scopes: self.scopes,
            default_scopes: self.default_scopes,
            enforce_scopes: self.enforce_scopes,
        };
        let source = MetadataAccess::new(client, account, params);
        Ok(Credentials(Handle::new(Arc::new(source), options)))
    }
}

impl Credentials {
    /// Returns a builder: for scopes, a quota project, another account.
    pub fn builder() -> CredentialsBuilder {
        CredentialsBuilder::default()
    }
}
