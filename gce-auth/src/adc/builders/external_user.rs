//! Credentials of a person of a workforce pool who logged in.

use crate::{
    adc::{builders::description::Description, load, options::DefaultOptions},
    tokens::credentials::Credentials,
    values::error::Error,
    wire::credentials_file,
};

const PLACE: &str = "the builder of an external_account_authorized_user";
const TOKEN_URL: &str = "https://sts.googleapis.com/v1/oauthtoken";

/// Describes credentials of a workforce user by a refresh token, as the file of
/// `gcloud auth application-default login --login-config` does. Made by
/// [`Credentials::external_account_authorized_user`].
#[derive(Debug)]
#[must_use = "a builder does nothing until it is built"]
pub struct ExternalAccountAuthorizedUserBuilder(Description);

impl Credentials {
    /// Returns a builder of a workforce user's credentials, with the OAuth
    /// client that the refresh token was given to.
    ///
    /// # Examples
    /// ```
    /// use gce_auth::Credentials;
    ///
    /// let provider = "//iam.googleapis.com/locations/global/workforcePools/staff/providers/okta";
    /// let credentials =
    ///     Credentials::external_account_authorized_user("client-id", "client-secret", "refresh-token")
    ///         .audience(provider)
    ///         .build()?;
    /// # Ok::<(), gce_auth::Error>(())
    /// ```
    pub fn external_account_authorized_user(
        client_id: impl Into<String>,
        client_secret: impl Into<String>,
        refresh_token: impl Into<String>,
    ) -> ExternalAccountAuthorizedUserBuilder {
        let description = Description::new("external_account_authorized_user")
            .with("client_id", client_id.into())
            .with("client_secret", client_secret.into())
            .with("refresh_token", refresh_token.into())
            .with("token_url", TOKEN_URL);
        ExternalAccountAuthorizedUserBuilder(description)
    }
}

impl ExternalAccountAuthorizedUserBuilder {
    /// Sets the full name of the provider in its pool. Default: none; then there
    /// is no regional access boundary.
    pub fn audience(self, provider: impl Into<String>) -> Self {
        Self(self.0.with("audience", provider.into()))
    }

    /// Sets where tokens are asked for: a server of Google's, or one that the
    /// options trust. Default: `https://sts.googleapis.com/v1/oauthtoken`.
    pub fn token_url(self, url: impl Into<String>) -> Self {
        Self(self.0.with("token_url", url.into()))
    }

    /// Sets the universe of the pool, which the options or the environment must
    /// name, too. Default: `googleapis.com`.
    pub fn universe_domain(self, domain: impl Into<String>) -> Self {
        Self(self.0.with("universe_domain", domain.into()))
    }

    /// Sets the project to bill, the client and trusted hosts.
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
        let user = credentials_file::external_user(PLACE, &file)?;
        load::built(&options, PLACE, |loader, _, _| loader.external_user(user))
    }
}
