//! What credentials of one kind or another can do besides giving tokens.

use std::sync::Arc;

#[cfg(feature = "iam")]
use crate::tokens::source::Change;
use crate::{
    tokens::{
        credentials::Credentials,
        handle::{Handle, Options},
        id_token_credentials::IdTokenCredentials,
        info::CredentialsKind,
        source::{TokenSource, metadata_identity::MetadataIdentity},
    },
    values::error::{Error, ErrorKind},
    wire::request::check_audience,
};

impl Credentials {
    /// Returns what kind of credentials these are.
    #[must_use]
    pub fn kind(&self) -> CredentialsKind {
        self.0.inner.source.credentials_kind()
    }

    /// Returns credentials that get ID tokens for `audience`, of the same
    /// account. No I/O.
    ///
    /// Key files, impersonated accounts and the metadata server have ID tokens;
    /// external accounts that act as no service account and downscoped credentials
    /// have none. Users have one for the `client_id` of their login, if the login
    /// has the scope `openid`, and for no other audience.
    ///
    /// # Errors
    /// [`InvalidOperation`](ErrorKind::InvalidOperation) for credentials that
    /// have no ID tokens; [`Config`](ErrorKind::Config) for an empty audience.
    ///
    /// # Examples
    /// ```no_run
    /// # async fn call(credentials: gce_auth::Credentials) -> Result<(), gce_auth::Error> {
    /// let identity = credentials.id_token("https://service.example")?;
    /// let headers = identity.headers().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn id_token(&self, audience: impl Into<String>) -> Result<IdTokenCredentials, Error> {
        let audience = audience.into();
        check_audience(&audience)?;
        let source = self.identity(audience).ok_or_else(|| {
            Error::new(
                ErrorKind::InvalidOperation,
                format!(
                    "credentials of the kind {} have no ID tokens",
                    self.kind().name()
                ),
            )
            .with_hint(
                "act as a service account (`impersonate`; --as EMAIL of the command), or use a \
                 key file or the metadata server",
            )
        })?;
        let ours = &self.0.inner.options;
        let options = Options {
            mode: ours.mode,
            shared: ours.shared,
            ..Options::default()
        };
        Ok(IdTokenCredentials(Handle::new(source, options)))
    }

    fn identity(&self, audience: String) -> Option<Arc<dyn TokenSource>> {
        let source = &self.0.inner.source;
        match source.account() {
            // No method of its source: a program without ID tokens would link it, too.
            Some(account) => {
                let client = source.client().clone();
                Some(Arc::new(MetadataIdentity::beside(
                    client, account, audience,
                )))
            }
            None => source.identity(&audience),
        }
    }

    #[cfg(feature = "iam")]
    pub(crate) fn is_of_metadata_server(&self) -> bool {
        matches!(
            self.kind(),
            CredentialsKind::ComputeEngine | CredentialsKind::Fixed
        )
    }
}

#[cfg(feature = "iam")]
impl Credentials {
    /// Returns credentials that act for this user (domain-wide delegation), or
    /// for none.
    ///
    /// # Errors
    /// [`InvalidOperation`](ErrorKind::InvalidOperation) unless these are of a
    /// key file or an impersonated account.
    pub fn with_subject<'a>(&self, user: impl Into<Option<&'a str>>) -> Result<Self, Error> {
        let user = user.into().map(str::to_owned);
        self.changed_or_refused(&Change::Subject(user), "act for a user")
    }

    /// Returns credentials that ask for their tokens at another URL. The
    /// secrets of these credentials are sent there.
    ///
    /// # Errors
    /// [`Config`](ErrorKind::Config) for what is no URL;
    /// [`InvalidOperation`](ErrorKind::InvalidOperation) for the metadata
    /// server's and those made of others.
    pub fn with_token_uri(&self, url: impl Into<String>) -> Result<Self, Error> {
        let url = url.into();
        crate::wire::grant::check_token_uri(&url)?;
        self.changed_or_refused(&Change::TokenUri(url), "have a token URI")
    }

    /// Returns where tokens are asked for, for those that have such a URL.
    #[must_use]
    pub fn token_uri(&self) -> Option<&str> {
        self.0.inner.source.token_uri()
    }

    /// Signs `message` as the account: with the private key of a key file, or
    /// through IAM as an impersonated account. RSASSA-PKCS1-v1_5 with SHA-256.
    ///
    /// # Errors
    /// [`InvalidOperation`](ErrorKind::InvalidOperation) for other credentials,
    /// which a [`Signer`](crate::Signer) signs for; else what keeps the
    /// signature from being made.
    pub async fn sign_bytes(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        let (credentials, message) = (self.clone(), message.to_vec());
        let work = move || credentials.blocking_sign_bytes(&message);
        self.0.in_lane_of_signatures(work).await
    }

    /// [`sign_bytes`](Self::sign_bytes), waiting on this thread.
    ///
    /// # Errors
    /// As for [`sign_bytes`](Self::sign_bytes).
    pub fn blocking_sign_bytes(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        let signer = self.0.inner.source.signs().ok_or_else(|| {
            Error::new(
                ErrorKind::InvalidOperation,
                format!(
                    "credentials of the kind {} sign nothing",
                    self.kind().name()
                ),
            )
            .with_hint("use a Signer, which signs through IAM")
        })?;
        signer.sign(message).map(|(_, signature)| signature)
    }

    pub(crate) fn changed_or_refused(&self, change: &Change, what: &str) -> Result<Self, Error> {
        self.0.changed(change).map(Self).ok_or_else(|| {
            Error::new(
                ErrorKind::InvalidOperation,
                format!(
                    "credentials of the kind {} do not {what}",
                    self.kind().name()
                ),
            )
        })
    }
}

#[cfg(feature = "iam")]
impl IdTokenCredentials {
    /// Returns credentials whose tokens name the account's email address, or do
    /// not.
    ///
    /// # Errors
    /// [`InvalidOperation`](ErrorKind::InvalidOperation) unless these are of an
    /// impersonated account; others name it as they always do.
    pub fn with_include_email(&self, include: bool) -> Result<Self, Error> {
        let copy = self.0.changed(&Change::IncludeEmail(include));
        copy.map(Self).ok_or_else(|| {
            Error::new(
                ErrorKind::InvalidOperation,
                "only ID tokens of impersonated accounts leave the email address out",
            )
        })
    }

    /// Returns what kind of credentials these are.
    #[must_use]
    pub fn kind(&self) -> CredentialsKind {
        self.0.inner.source.credentials_kind()
    }
}
