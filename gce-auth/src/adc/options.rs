//! The options of the search for credentials.

use crate::client::{config::MetadataClient, residency::Detection};
#[cfg(feature = "adc")]
use crate::{
    adc::{DefaultCredentials, DefaultSource, load},
    io::env::AdcEnvironment,
    tokens::credentials::Credentials,
    values::error::Error,
    wire::trusted_hosts::TrustedHosts,
};

/// What [`default_credentials`](crate::default_credentials) is to look for.
#[derive(Clone, Debug, Default)]
#[must_use = "options do nothing by themselves"]
pub struct DefaultOptions {
    pub(super) client: Option<MetadataClient>,
    pub(super) detection: Detection,
    pub(super) scopes: Option<Vec<String>>,
    pub(super) default_scopes: Option<Vec<String>>,
    pub(super) quota_project_id: Option<String>,
    pub(super) unshared: bool,
    #[cfg(feature = "iam")]
    pub(super) boundary: bool,
    #[cfg(feature = "adc")]
    pub(super) asks_gcloud: bool,
    #[cfg(feature = "adc")]
    universe_domain: Option<String>,
    #[cfg(feature = "adc")]
    trusted: Vec<String>,
}

impl DefaultOptions {
    /// Returns options that ask for nothing in particular.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the client whose transport, clock, executor, limits and retry policy
    /// are used for the source that is found, and whose metadata server is
    /// requested. Default: a new one, with the settings of the environment.
    pub fn client(mut self, client: MetadataClient) -> Self {
        self.client = Some(client);
        self
    }

    /// Sets how to find out whether this is Google Cloud. Default:
    /// [`Detection::Fast`].
    pub fn detection(mut self, detection: Detection) -> Self {
        self.detection = detection;
        self
    }

    /// Sets the OAuth 2.0 scopes to ask for. Default: `cloud-platform` for
    /// credentials that need some.
    pub fn scopes<I>(mut self, scopes: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        self.scopes = Some(scopes.into_iter().map(Into::into).collect());
        self
    }

    /// Sets the scopes to ask for if the program asks for none. Default: none.
    pub fn default_scopes<I>(mut self, scopes: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        self.default_scopes = Some(scopes.into_iter().map(Into::into).collect());
        self
    }

    /// Sets the project that is billed. Default: `GOOGLE_CLOUD_QUOTA_PROJECT`,
    /// else the one that the file names.
    pub fn quota_project_id(mut self, project: impl Into<String>) -> Self {
        self.quota_project_id = Some(project.into());
        self
    }

    /// Sets whether the token is shared with credentials of this process that
    /// would send the same request. Default: true.
    pub fn shared(mut self, shared: bool) -> Self {
        self.unshared = !shared;
        self
    }

    /// Sets whether the regional access boundary of the account or the pool is
    /// sent with each request: see
    /// [`CredentialsBuilder::regional_access_boundary`](crate::CredentialsBuilder::regional_access_boundary).
    /// Default: false.
    #[cfg(feature = "iam")]
    pub fn regional_access_boundary(mut self, look_up: bool) -> Self {
        self.boundary = look_up;
        self
    }

    pub(super) fn client_or_new(&self) -> MetadataClient {
        self.client.clone().unwrap_or_default()
    }
}

#[cfg(feature = "adc")]
impl DefaultOptions {
    /// Trusts the servers of this universe with the secrets of a file. Default:
    /// `googleapis.com`, and `GOOGLE_CLOUD_UNIVERSE_DOMAIN`. A universe that
    /// only the file names is refused.
    pub fn universe_domain(mut self, domain: impl Into<String>) -> Self {
        self.universe_domain = Some(domain.into());
        self
    }

    /// Trusts this server with the secrets of a file: `host` or `host:port`,
    /// over HTTPS, and over HTTP on this machine or after `http://`. May be
    /// called more than once. Default: Google's servers for tokens, and the
    /// hosts in `GCE_AUTH_TRUST_HOSTS`, with commas between.
    ///
    /// A credentials file names the servers that its secrets are sent to, and a
    /// file from another source may name any.
    pub fn trust_host(mut self, host: impl Into<String>) -> Self {
        self.trusted.push(host.into());
        self
    }

    /// Sets whether the program `gcloud` is asked for the project (`gcloud config
    /// get project`), as google-auth does, instead of its files: costs up to a
    /// second. Default: false. Without effect unless the credentials are those of gcloud's file.
    pub fn ask_gcloud(mut self, ask: bool) -> Self {
        self.asks_gcloud = ask;
        self
    }

    /// Reads the credentials file at `path`. Nothing is asked for, and no
    /// variable is looked at except those of quota project and trusted hosts.
    ///
    /// # Errors
    /// [`Config`](crate::ErrorKind::Config) for a file that cannot be used.
    pub fn load_file(
        &self,
        path: impl AsRef<std::path::Path>,
    ) -> Result<DefaultCredentials, Error> {
        let path = path.as_ref();
        load::file(self, path, DefaultSource::File(path.to_owned()), true)
    }

    /// Reads a credentials file that the program has in memory.
    ///
    /// # Errors
    /// [`Config`](crate::ErrorKind::Config) for a document that cannot be used.
    pub fn load_json(&self, json: &str) -> Result<DefaultCredentials, Error> {
        load::json(self, json)
    }

    /// What may be trusted with the secrets of a file.
    pub(super) fn trusted_hosts(&self) -> Result<TrustedHosts, Error> {
        let environment = AdcEnvironment::read();
        let mut trusted = TrustedHosts::default();
        let named = self.universe_domain.iter();
        for domain in named.chain(&environment.universe_domain) {
            trusted.add_universe(domain);
        }
        for host in &self.trusted {
            trusted.add_host(host)?;
        }
        let listed = environment.trust_hosts.as_deref().unwrap_or_default();
        for host in listed
            .split(',')
            .map(str::trim)
            .filter(|host| !host.is_empty())
        {
            trusted
                .add_host(host)
                .map_err(|error| error.context("GCE_AUTH_TRUST_HOSTS"))?;
        }
        Ok(trusted)
    }
}

#[cfg(feature = "adc")]
impl Credentials {
    /// Reads the credentials file at `path`: a user's, a key, an impersonated
    /// or an external account. See [`DefaultOptions::load_file`] for scopes and
    /// a project to bill.
    ///
    /// # Errors
    /// [`Config`](crate::ErrorKind::Config) for a file that cannot be used; the
    /// error names it, the member and the remedy.
    ///
    /// # Examples
    /// ```no_run
    /// # async fn call() -> Result<(), gce_auth::Error> {
    /// let credentials = gce_auth::Credentials::from_file("key.json")?;
    /// let headers = credentials.headers().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn from_file(path: impl AsRef<std::path::Path>) -> Result<Self, Error> {
        let loaded = DefaultOptions::new().load_file(path)?;
        Ok(loaded.credentials)
    }

    /// Reads a credentials file that the program has in memory.
    ///
    /// # Errors
    /// As for [`from_file`](Self::from_file).
    pub fn from_json(json: &str) -> Result<Self, Error> {
        let loaded = DefaultOptions::new().load_json(json)?;
        Ok(loaded.credentials)
    }
}
