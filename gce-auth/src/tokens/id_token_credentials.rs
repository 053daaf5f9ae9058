//! ID tokens, one audience at a time.

use std::{fmt, sync::Arc};

use crate::{
    client::config::MetadataClient,
    io::threads::WorkKind,
    tokens::{
        handle::{Handle, Options},
        source::{
            account::Account,
            metadata_identity::{IdentityParams, MetadataIdentity},
        },
    },
    values::error::Error,
};

/// OpenID Connect ID tokens of a service account for one audience.
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
pub struct IdTokenCredentials(pub(crate) Handle);

impl IdTokenCredentials {
    /// Returns credentials of the default service account for `audience`, from
    /// the metadata server.
    ///
    /// Never fails: if the environment or the audience is not valid, the first
    /// call says so. [`builder`](Self::builder) fails early.
    #[must_use]
    pub fn new(audience: impl Into<String>) -> Self {
        let params = IdentityParams {
            audience: audience.into(),
            ..IdentityParams::default()
        };
        let account = Account::new("default");
        let source = MetadataIdentity::new(MetadataClient::new(), account, params);
        Self(Handle::new(Arc::new(source), Options::default()))
    }

    /// Returns the audience: the service that the tokens are for.
    #[must_use]
    pub fn audience(&self) -> &str {
        self.0.inner.source.audience().unwrap_or_default()
    }

    /// Fetches the email address of the account: what google-auth does when
    /// such credentials are made. Sends no request if the address is known.
    ///
    /// # Errors
    /// As for [`MetadataClient::account_info`].
    pub async fn resolve(&self) -> Result<(), Error> {
        match self.0.inner.source.email() {
            Some(_) => Ok(()),
            None => self.0.account(WorkKind::Other).await.map(drop),
        }
    }

    /// [`resolve`](Self::resolve), waiting on this thread.
    ///
    /// # Errors
    /// As for [`resolve`](Self::resolve).
    pub fn blocking_resolve(&self) -> Result<(), Error> {
        let source = &self.0.inner.source;
        match source.email() {
            Some(_) => Ok(()),
            None => source.ask_account(&mut self.client().0.budget()).map(drop),
        }
    }

    /// Returns the email address of the account, if it was named by it, or is
    /// known since [`resolve`](Self::resolve). No I/O.
    #[must_use]
    pub fn service_account_email(&self) -> Option<String> {
        self.0.inner.source.email()
    }
}

impl fmt::Debug for IdTokenCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IdTokenCredentials")
            .field("service_account", &self.0.inner.source.info().principal)
            .field("audience", &self.audience())
            .field("client", self.client())
            .finish_non_exhaustive()
    }
}
