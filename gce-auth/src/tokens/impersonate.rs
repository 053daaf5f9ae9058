//! Credentials made of others: as another account, or with less.

use std::{sync::Arc, time::Duration};

use crate::{
    tokens::{
        credentials::Credentials,
        handle::{Handle, Options},
        info::CredentialsKind,
        source::{
            Change,
            downscoped::Downscoped,
            impersonated::{Impersonated, ImpersonatedParams},
            origin::Origin,
            target::Target,
        },
    },
    values::{
        access_boundary::CredentialAccessBoundary,
        error::{Error, ErrorKind},
        headers::quota_project,
        scope::Scopes,
    },
    wire::{
        iam::{self, IamEndpoint},
        iam_tokens::{LIFETIME, LONGEST, Place},
    },
};

/// What the source of an impersonated account is asked for.
const IAM_SCOPE: &str = "https://www.googleapis.com/auth/iam";
/// The default scope of an impersonated account.
const CLOUD_PLATFORM: &str = "https://www.googleapis.com/auth/cloud-platform";

/// Configures credentials that act as another service account: see
/// [`Credentials::impersonate`].
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until it is built"]
pub struct ImpersonateBuilder {
    source: Credentials,
    email: String,
    scopes: Option<Scopes>,
    delegates: Option<Vec<String>>,
    lifetime: Duration,
    subject: Option<String>,
    quota_project_id: Option<String>,
    place: Result<Option<Place>, Error>,
}

impl ImpersonateBuilder {
    /// Sets the OAuth 2.0 scopes of the tokens. Default: `cloud-platform`.
    pub fn scopes<I>(mut self, scopes: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        self.scopes = Some(Scopes::new(scopes));
        self
    }

    /// Sets the accounts between these credentials and the account, in order:
    /// each needs `roles/iam.serviceAccountTokenCreator` on the next, the last
    /// of them on the account. Full names
    /// (`projects/-/serviceAccounts/EMAIL`) or email addresses, sent as they
    /// are. Default: none.
    pub fn delegates<I>(mut self, accounts: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        self.delegates = Some(accounts.into_iter().map(Into::into).collect());
        self
    }

    /// Sets how long a token lasts: at most 12 h, and more than 1 h only if the
    /// organization allows it
    /// (`constraints/iam.allowServiceAccountCredentialLifetimeExtension`).
    /// Default: 1 h.
    pub fn lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime = lifetime;
        self
    }

    /// Sets the user on whose behalf the account acts (domain-wide
    /// delegation). Default: none.
    pub fn subject(mut self, user: impl Into<String>) -> Self {
        self.subject = Some(user.into());
        self
    }

    /// Sets the project that is billed (`x-goog-user-project`). Default: none.
    pub fn quota_project_id(mut self, project: impl Into<String>) -> Self {
        self.quota_project_id = Some(project.into());
        self
    }

    /// Sets where the IAM Service Account Credentials API is: `https://host`,
    /// or `http://host:port` for an emulator. Default: `iamcredentials.` and
    /// the universe domain of the source.
    pub fn iam_endpoint(mut self, url: impl Into<String>) -> Self {
        self.place =
            IamEndpoint::parse(&url.into()).map(|endpoint| Some(Place::Endpoint(endpoint)));
        self
    }

    /// Sets the whole URL of `generateAccessToken`, as google-auth's
    /// `iam_endpoint_override`. Other methods of the account are not asked for
    /// there.
    pub fn access_token_url(mut self, url: impl Into<String>) -> Self {
        self.place = Place::url(&url.into()).map(Some);
        self
    }

    /// Builds the credentials; no I/O.
    ///
    /// # Errors
    /// [`Config`](ErrorKind::Config) for a name that is no account's, a
    /// lifetime of 0 s or more than 12 h, or what cannot be a URL or a project.
    pub fn build(self) -> Result<Credentials, Error> {
        iam::check_account(&self.email)?;
        if self.lifetime < Duration::from_secs(1) || self.lifetime > LONGEST {
            return Err(Error::new(
                ErrorKind::Config,
                "the lifetime of an impersonated token is not from 1 s to 12 h",
            ));
        }
        let project = self.quota_project_id.as_deref();
        let user_project = project.map(quota_project).transpose()?;
        let scopes = self.scopes.unwrap_or_else(|| Scopes::new([CLOUD_PLATFORM]));
        let source = Impersonated {
            client: self.source.client().clone(),
            origin: Origin::PROGRAM,
            kind: CredentialsKind::ImpersonatedServiceAccount,
            target: Arc::new(Target::new(
                authorizing(&self.source),
                self.email,
                self.delegates,
                self.place?,
            )),
            params: ImpersonatedParams {
                scopes: Some(scopes).filter(|scopes| !scopes.is_empty()),
                default_scopes: None,
                lifetime: self.lifetime,
                subject: self.subject,
            },
            quota_project_id: None,
            #[cfg(feature = "adc")]
            project_number: None,
        };
        let options = Options {
            user_project,
            ..self.source.0.inner.options.impersonating()
        };
        Ok(Credentials(Handle::new(Arc::new(source), options)))
    }
}

/// Returns the credentials that authorize acting as an account: with the scope
/// of IAM if they take scopes. What is not shared fetches for itself there, too.
pub(crate) fn authorizing(source: &Credentials) -> Credentials {
    let handle = &source.0;
    let scopes = Change::Scopes(Some(Scopes::new([IAM_SCOPE])), None);
    Credentials(match handle.changed(&scopes) {
        Some(copy) => copy,
        None if handle.inner.options.shared => handle.clone(),
        None => handle.twin(),
    })
}

impl Options {
    /// What credentials over these have in common with them.
    pub(crate) fn impersonating(&self) -> Self {
        Self {
            user_project: None,
            universe_domain: None,
            ..self.clone()
        }
    }
}

impl Credentials {
    /// Returns a builder of credentials that act as the service account
    /// `email`, authorized by these: the usual way to hold less than a machine
    /// or a person may.
    ///
    /// The account of these credentials needs
    /// `roles/iam.serviceAccountTokenCreator` on the other.
    ///
    /// A builder, because five settings have defaults;
    /// [`downscope`](Self::downscope) and [`id_token`](Self::id_token) have
    /// none, and return the credentials.
    ///
    /// # Examples
    /// ```no_run
    /// # async fn call() -> Result<(), gce_auth::Error> {
    /// use gce_auth::Credentials;
    ///
    /// let reader = Credentials::new()
    ///     .impersonate("reader@project.iam.gserviceaccount.com")
    ///     .scopes(["https://www.googleapis.com/auth/devstorage.read_only"])
    ///     .build()?;
    /// let headers = reader.headers().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn impersonate(&self, email: impl Into<String>) -> ImpersonateBuilder {
        ImpersonateBuilder {
            source: self.clone(),
            email: email.into(),
            scopes: None,
            delegates: None,
            lifetime: LIFETIME,
            subject: None,
            quota_project_id: None,
            place: Ok(None),
        }
    }

    /// Returns credentials whose tokens may do no more than `boundary` says, of
    /// what these may do: for a token that another program gets. No I/O.
    ///
    /// Tokens come from the Security Token Service, and live no longer than
    /// those of these credentials. Cloud Storage alone honours boundaries.
    ///
    /// # Errors
    /// [`InvalidOperation`](ErrorKind::InvalidOperation) for credentials without
    /// any token.
    ///
    /// # Examples
    /// ```no_run
    /// # fn main() -> Result<(), gce_auth::Error> {
    /// use gce_auth::{AccessBoundaryRule, CredentialAccessBoundary, Credentials};
    ///
    /// let rule = AccessBoundaryRule::new(
    ///     "//storage.googleapis.com/projects/_/buckets/my-bucket",
    ///     ["inRole:roles/storage.objectViewer"],
    /// )?;
    /// let boundary = CredentialAccessBoundary::new([rule])?;
    /// let narrow = Credentials::new().downscope(&boundary)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn downscope(&self, boundary: &CredentialAccessBoundary) -> Result<Self, Error> {
        self.downscope_at(boundary, None)
    }

    /// [`downscope`](Self::downscope) by the token exchange at this URL instead
    /// of `https://sts.` and the universe domain: for emulators and private
    /// endpoints. The tokens are sent there.
    ///
    /// # Errors
    /// As for [`downscope`](Self::downscope); [`Config`](ErrorKind::Config) for
    /// what is no URL.
    pub fn downscope_at<'a>(
        &self,
        boundary: &CredentialAccessBoundary,
        token_url: impl Into<Option<&'a str>>,
    ) -> Result<Self, Error> {
        if self.0.is_anonymous() {
            return Err(Error::new(
                ErrorKind::InvalidOperation,
                "anonymous credentials have no token to make a narrower one of",
            ));
        }
        let url = token_url.into();
        if let Some(url) = url {
            crate::wire::grant::check_token_uri(url)?;
        }
        let source = Downscoped::new(self.clone(), boundary.to_json(), url.map(str::to_owned));
        let options = self.0.inner.options.impersonating();
        Ok(Self(Handle::new(Arc::new(source), options)))
    }
}
