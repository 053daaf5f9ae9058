//! Configures a signer; does nothing else.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use crate::{
    io::transport::Limits,
    signer::sign::{Inner, Signer},
    tokens::credentials::Credentials,
    values::error::{Error, ErrorKind},
    wire::{
        iam::{self, IamEndpoint},
        retry::RetryPolicy,
    },
};

impl Signer {
    /// Signs as the account of `credentials`.
    #[must_use]
    pub fn new(credentials: Credentials) -> Self {
        Self::builder().assemble(credentials, None, None)
    }

    /// Returns a builder.
    pub fn builder() -> SignerBuilder {
        SignerBuilder::default()
    }
}

/// Configures a [`Signer`].
///
/// # Examples
/// ```
/// use gce_auth::{Credentials, Signer};
///
/// # fn main() -> Result<(), gce_auth::Error> {
/// let signer = Signer::builder()
///     .credentials(Credentials::new())
///     .service_account("signer@project.iam.gserviceaccount.com")
///     .build()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "a builder does nothing until it is built"]
pub struct SignerBuilder {
    credentials: Option<Credentials>,
    account: Option<String>,
    delegates: Vec<String>,
    endpoint: Option<String>,
    limits: Option<Limits>,
    retry: Option<RetryPolicy>,
}

impl SignerBuilder {
    /// Sets the credentials whose access token the requests carry, and whose
    /// client sends them. Default: those of the default service account.
    pub fn credentials(mut self, credentials: Credentials) -> Self {
        self.credentials = Some(credentials);
        self
    }

    /// Sets the account to sign as, by its email address. Default: that of the
    /// credentials.
    pub fn service_account(mut self, email: impl Into<String>) -> Self {
        self.account = Some(email.into());
        self
    }

    /// Sets the delegates between the caller and the signing account, by email
    /// address: each needs `roles/iam.serviceAccountTokenCreator` on the next, the
    /// last one on the signing account (Google, "Create short-lived credentials in
    /// a delegation chain"). Default: none.
    pub fn delegates<I>(mut self, emails: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        self.delegates = emails.into_iter().map(Into::into).collect();
        self
    }

    /// Sets the URL of the API, for emulators and private endpoints:
    /// `https://host`, or `http://host:port`. Default: `https://iamcredentials.`
    /// and the universe domain of the credentials; `https://iamcredentials.mtls.`
    /// and the domain if the workload has a client certificate for Google's APIs,
    /// which is then sent (AIP-4114).
    ///
    /// The access token is sent there: over plain HTTP anyone on the path can read
    /// it.
    pub fn iam_endpoint(mut self, url: impl Into<String>) -> Self {
        self.endpoint = Some(url.into());
        self
    }

    /// Sets the limits of one attempt. Default: those of the client, with 5 s to
    /// connect and 15 s for the answer where the client has its defaults.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = Some(limits);
        self
    }

    /// Sets the retry policy. Default: 3 attempts, 1 s and 2 s apart, within 60 s;
    /// [`RetryPolicy::google_auth`] if the client of the credentials has that.
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.retry = Some(policy);
        self
    }

    /// Builds the signer; without credentials, reads the environment, and does
    /// nothing else.
    ///
    /// # Errors
    /// [`Config`](crate::ErrorKind::Config) where a setting, or a variable of
    /// the environment, makes no sense.
    pub fn build(mut self) -> Result<Signer, Error> {
        let credentials = match self.credentials.take() {
            Some(credentials) => credentials,
            None => Credentials::builder().build()?,
        };
        let account = self.account.take();
        for email in account.iter().chain(&self.delegates) {
            iam::check_account(email)?;
        }
        if account.is_none() && !self.delegates.is_empty() {
            return Err(Error::new(
                ErrorKind::Config,
                "delegates lead to no other account than that of the credentials",
            )
            .with_hint("name the account that signs with service_account"));
        }
        let endpoint = self
            .endpoint
            .take()
            .map(|url| IamEndpoint::parse(&url))
            .transpose()?;
        Ok(self.assemble(credentials, account, endpoint))
    }

    pub(super) fn assemble(
        self,
        credentials: Credentials,
        account: Option<String>,
        endpoint: Option<IamEndpoint>,
    ) -> Signer {
        // Credentials that act as an account sign as it, too.
        let source = Arc::clone(&credentials.0.inner.source);
        let target = source.signs_through().filter(|_| account.is_none());
        let (credentials, account, delegates, endpoint) = match target {
            Some(target) => (
                target.source.clone(),
                Some(target.email.clone()),
                target.delegates.clone().unwrap_or_default(),
                endpoint.or_else(|| target.signing_endpoint()),
            ),
            None => (credentials, account, self.delegates, endpoint),
        };
        let account = account.or_else(|| {
            let source = &credentials.0.inner.source;
            source.signs().filter(|key| key.is_local())?;
            source.email()
        });
        let config = &credentials.client().0;
        let limits = self.limits.unwrap_or_else(|| config.api_limits.clone());
        let retry = self.retry.unwrap_or_else(|| default_retry(&config.retry));
        Signer(Arc::new(Inner {
            credentials,
            account,
            delegates,
            endpoint,
            limits,
            retry,
            resolved: OnceLock::new(),
        }))
    }
}

/// google-auth's where the client's is, else 3 attempts, also after a broken
/// connection.
fn default_retry(client: &RetryPolicy) -> RetryPolicy {
    if client.is_google_auth() {
        return client.clone();
    }
    RetryPolicy::new()
        .attempts(3)
        .first_wait(Duration::from_secs(1))
        .jitter(0.1)
        .budget(Duration::from_secs(60))
}
