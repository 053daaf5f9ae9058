//! Access tokens, and the headers made of them.

use std::{fmt, sync::Arc};

use crate::{
    client::config::MetadataClient,
    tokens::{
        handle::{Handle, Options},
        source::{
            account::Account,
            metadata_access::{MetadataAccess, TokenParams},
        },
    },
};

/// Access tokens of a service account.
///
/// Cheap to clone; a clone is a handle to the same credential. Making one does
/// no I/O and needs no runtime. Credentials of one process that send the same
/// token request share one token and one request.
///
/// A token is fetched when it is first needed, renewed in the background from
/// 225 s before it expires (within the 240 to 300 s at which the metadata
/// server itself renews), and never given up while it is valid. No error is
/// final: after any failure, the next call asks again, after a second of quiet.
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
pub struct Credentials(pub(crate) Handle);

impl Credentials {
    /// Returns credentials of the default service account of the machine or
    /// workload that runs this program.
    ///
    /// Never fails: if the environment is not valid, the first call says so.
    /// [`builder`](Self::builder) fails early.
    #[must_use]
    pub fn new() -> Self {
        let source = MetadataAccess::new(
            MetadataClient::new(),
            Account::new("default"),
            TokenParams::default(),
        );
        Self(Handle::new(Arc::new(source), Options::default()))
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
            .field("service_account", &self.info().principal)
            .field("scopes", &self.scopes())
            .field("quota_project_id", &self.quota_project_id())
            .field("client", self.client())
            .finish_non_exhaustive()
    }
}
