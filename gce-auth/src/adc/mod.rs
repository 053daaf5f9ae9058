//! Application Default Credentials: which source, in which order (AIP-4110;
//! Google, "How Application Default Credentials works").

#[cfg(feature = "adc")]
pub(crate) mod builders;
mod find;
#[cfg(feature = "adc")]
mod load;
mod options;

use std::{fmt, path::PathBuf};

pub use crate::adc::options::DefaultOptions;
use crate::{
    io::{
        env::Environment,
        threads::{LaneKey, WorkKind},
    },
    tokens::{
        credentials::Credentials, id_token::IdToken, id_token_credentials::IdTokenCredentials,
    },
    values::error::Error,
};

/// What [`default_credentials`] found.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DefaultCredentials {
    /// The credentials.
    pub credentials: Credentials,
    /// The project: `GOOGLE_CLOUD_PROJECT`, else `GCLOUD_PROJECT`, else the one
    /// of the file, of gcloud's configuration, of the external account or of
    /// the metadata server, if one names it.
    pub project_id: Option<String>,
    /// Where the credentials were found.
    pub source: DefaultSource,
}

/// The step of Application Default Credentials that credentials were found by.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DefaultSource {
    /// The file that `GOOGLE_APPLICATION_CREDENTIALS` names.
    EnvironmentFile(PathBuf),
    /// The file that `gcloud auth application-default login` writes.
    GcloudFile(PathBuf),
    /// A file that the program named.
    File(PathBuf),
    /// A document that the program had.
    Json,
    /// The metadata server.
    MetadataServer,
}

impl DefaultSource {
    /// Returns the source that [`default_credentials`] uses here: the first
    /// file that there is, else the metadata server, whether it answers or not.
    /// Reads the environment and sends no request.
    #[must_use]
    pub fn find() -> Self {
        find::source()
    }

    /// Returns the path of the file that `gcloud auth application-default
    /// login` writes; the file need not exist. `None` if the environment names
    /// no home directory.
    #[must_use]
    pub fn gcloud_file() -> Option<PathBuf> {
        find::gcloud_file(&Environment::read())
    }
}

impl fmt::Display for DefaultSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EnvironmentFile(file) => write!(
                f,
                "`{}`, which GOOGLE_APPLICATION_CREDENTIALS names",
                file.display()
            ),
            Self::GcloudFile(file) => write!(f, "`{}`, the file of gcloud", file.display()),
            Self::File(file) => write!(f, "`{}`", file.display()),
            Self::Json => f.write_str("a JSON document"),
            Self::MetadataServer => f.write_str("the metadata server"),
        }
    }
}

/// Finds the credentials of this program, in the order of every Google SDK: the
/// file that `GOOGLE_APPLICATION_CREDENTIALS` names, the file that `gcloud auth
/// application-default login` writes, the metadata server. The first that is
/// there counts: if it cannot be used, that is an error, and the search ends.
///
/// Needs the feature `adc`. Without it any file is refused, so that no other
/// identity is taken in silence; [`Credentials::new`] is the metadata server's
/// alone.
///
/// Reads files, finds out whether this is Google Cloud if there is none, and
/// asks for the project id unless the environment or the file names it. No
/// token is asked for, except for the project of an external account.
///
/// Without any scopes in the options, credentials that need some ask for
/// `https://www.googleapis.com/auth/cloud-platform`.
///
/// # Errors
/// [`NotOnGce`](crate::ErrorKind::NotOnGce) if there are no credentials
/// anywhere; [`Config`](crate::ErrorKind::Config) for a file that cannot be
/// used (the error names it, the member and the remedy), and for a setting or a
/// variable that is not valid.
///
/// # Examples
/// ```no_run
/// # async fn call() -> Result<(), gce_auth::Error> {
/// use gce_auth::{DefaultOptions, default_credentials};
///
/// let found = default_credentials(DefaultOptions::new()).await?;
/// let headers = found.credentials.headers().await?;
/// println!("{} in {:?}", found.source, found.project_id);
/// # Ok(())
/// # }
/// ```
pub async fn default_credentials(options: DefaultOptions) -> Result<DefaultCredentials, Error> {
    find_in_background(options, blocking_default_credentials).await
}

/// [`default_credentials`], waiting on this thread.
///
/// # Errors
/// As for [`default_credentials`].
#[expect(
    clippy::needless_pass_by_value,
    reason = "the same signature as the async form"
)]
pub fn blocking_default_credentials(options: DefaultOptions) -> Result<DefaultCredentials, Error> {
    find::credentials(&options)
}

/// Fetches an ID token for `audience`: of the key or the impersonated account
/// in the file that `GOOGLE_APPLICATION_CREDENTIALS` names, else of the
/// metadata server, as google-auth's function of the same name. See
/// [`IdTokenCredentials`] for more than one token.
///
/// # Errors
/// As for [`fetch_id_token_credentials`] and [`IdTokenCredentials::headers`].
///
/// # Examples
/// ```no_run
/// # async fn call() -> Result<(), gce_auth::Error> {
/// let token = gce_auth::fetch_id_token("https://service.example").await?;
/// # Ok(())
/// # }
/// ```
pub async fn fetch_id_token(audience: impl Into<String>) -> Result<IdToken, Error> {
    let found = fetch_id_token_credentials(audience, DefaultOptions::new());
    found.await?.token().await
}

/// [`fetch_id_token`], waiting on this thread.
///
/// # Errors
/// As for [`fetch_id_token`].
pub fn blocking_fetch_id_token(audience: impl Into<String>) -> Result<IdToken, Error> {
    find::id_token_credentials(&audience.into(), &DefaultOptions::new())?.blocking_token()
}

/// Finds the credentials that [`fetch_id_token`] asks for a token. No token is
/// asked for.
///
/// # Errors
/// [`NotOnGce`](crate::ErrorKind::NotOnGce) if there are none;
/// [`Config`](crate::ErrorKind::Config) for a file that cannot be used.
pub async fn fetch_id_token_credentials(
    audience: impl Into<String>,
    options: DefaultOptions,
) -> Result<IdTokenCredentials, Error> {
    let audience = audience.into();
    find_in_background(options, move |options| {
        find::id_token_credentials(&audience, &options)
    })
    .await
}

/// Looks for credentials in a lane apart from work for servers: a file may be slow to read, and
/// gcloud to run. It may ask a metadata server, which delays no search that asks another.
async fn find_in_background<T: Clone + Send + 'static>(
    options: DefaultOptions,
    find: impl FnOnce(DefaultOptions) -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let client = options.client_or_new();
    let lane = LaneKey::new("default credentials", &client.0.transport);
    #[cfg(feature = "iam")]
    let lane = lane.after(&client.0.lane);
    let budget = client.0.retry.total();
    client
        .background_in(&lane, WorkKind::Other, budget, |_| find(options))
        .await
}

/// [`fetch_id_token_credentials`], waiting on this thread.
///
/// # Errors
/// As for [`fetch_id_token_credentials`].
#[expect(
    clippy::needless_pass_by_value,
    reason = "the same signature as the async form"
)]
pub fn blocking_fetch_id_token_credentials(
    audience: impl Into<String>,
    options: DefaultOptions,
) -> Result<IdTokenCredentials, Error> {
    find::id_token_credentials(&audience.into(), &options)
}

#[cfg(all(test, not(gce_auth_loom)))]
mod tests;
