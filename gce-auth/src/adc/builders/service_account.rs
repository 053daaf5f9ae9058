//! Credentials of a service account by its private key.

use crate::{
    adc::{builders::description::Description, load, options::DefaultOptions},
    tokens::credentials::Credentials,
    values::error::Error,
    wire::credentials_file,
};

const PLACE: &str = "the builder of a service_account";
const TOKEN_URI: &str = "https://oauth2.googleapis.com/token";

/// Describes credentials of a service account by a private key, as a key file
/// does (Google, AIP-4112). Made by [`Credentials::service_account_key`].
#[derive(Debug)]
#[must_use = "a builder does nothing until it is built"]
pub struct ServiceAccountKeyBuilder(Description);

impl Credentials {
    /// Returns a builder of a service account's credentials, with a private key
    /// in PEM (PKCS#8 or PKCS#1).
    ///
    /// # Examples
    /// ```no_run
    /// use gce_auth::Credentials;
    ///
    /// # fn key() -> String { String::new() }
    /// let email = "robot@my-project.iam.gserviceaccount.com";
    /// let credentials = Credentials::service_account_key(email, key()).build()?;
    /// # Ok::<(), gce_auth::Error>(())
    /// ```
    pub fn service_account_key(
        email: impl Into<String>,
        private_key: impl Into<String>,
    ) -> ServiceAccountKeyBuilder {
        let description = Description::new("service_account")
            .with("client_email", email.into())
            .with("private_key", private_key.into())
            .with("token_uri", TOKEN_URI);
        ServiceAccountKeyBuilder(description)
    }
}

impl ServiceAccountKeyBuilder {
    /// Sets the id of the key, the `kid` of what it signs. Default: none.
    pub fn key_id(self, id: impl Into<String>) -> Self {
        Self(self.0.with("private_key_id", id.into()))
    }

    /// Sets the project of the account. Default: none.
    pub fn project_id(self, project: impl Into<String>) -> Self {
        Self(self.0.with("project_id", project.into()))
    }

    /// Sets where assertions are exchanged: a server of Google's, or one that
    /// the options trust. Default: `https://oauth2.googleapis.com/token`.
    pub fn token_uri(self, uri: impl Into<String>) -> Self {
        Self(self.0.with("token_uri", uri.into()))
    }

    /// Sets the universe of the account, which the options or the environment
    /// must name, too. Default: `googleapis.com`.
    pub fn universe_domain(self, domain: impl Into<String>) -> Self {
        Self(self.0.with("universe_domain", domain.into()))
    }

    /// Sets scopes, the project to bill, the client and trusted hosts.
    pub fn options(self, options: DefaultOptions) -> Self {
        Self(self.0.options(options))
    }

    /// Builds the credentials. No I/O.
    ///
    /// # Errors
    /// [`Config`](crate::ErrorKind::Config) for a value that is empty or cannot
    /// be used; the error names it as a file's member.
    pub fn build(self) -> Result<Credentials, Error> {
        let Description { file, options } = self.0;
        let key = credentials_file::service_account(PLACE, &file)?;
        load::built(&options, PLACE, |loader, scopes, defaults| {
            loader.key(key, scopes, defaults)
        })
    }
}
