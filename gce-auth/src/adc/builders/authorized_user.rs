//! Credentials of a person who logged in.

use crate::{
    adc::{builders::description::Description, load, options::DefaultOptions},
    tokens::credentials::Credentials,
    values::error::Error,
    wire::credentials_file,
};

const PLACE: &str = "the builder of an authorized_user";

/// Describes credentials of a user by a refresh token, as the file of `gcloud
/// auth application-default login` does (Google, AIP-4113). Made by
/// [`Credentials::authorized_user`].
#[derive(Debug)]
#[must_use = "a builder does nothing until it is built"]
pub struct AuthorizedUserBuilder(Description);

impl Credentials {
    /// Returns a builder of a user's credentials, with the OAuth client that
    /// the refresh token was given to.
    ///
    /// # Examples
    /// ```
    /// use gce_auth::{Credentials, DefaultOptions};
    ///
    /// let credentials = Credentials::authorized_user("client-id", "client-secret", "1//refresh-token")
    ///     .options(DefaultOptions::new().quota_project_id("billed-project"))
    ///     .build()?;
    /// # Ok::<(), gce_auth::Error>(())
    /// ```
    pub fn authorized_user(
        client_id: impl Into<String>,
        client_secret: impl Into<String>,
        refresh_token: impl Into<String>,
    ) -> AuthorizedUserBuilder {
        let description = Description::new("authorized_user")
            .with("client_id", client_id.into())
            .with("client_secret", client_secret.into())
            .with("refresh_token", refresh_token.into());
        AuthorizedUserBuilder(description)
    }
}

impl AuthorizedUserBuilder {
    /// Sets the email address of the user, for [`Credentials::info`] alone.
    /// Default: none.
    pub fn account(self, email: impl Into<String>) -> Self {
        Self(self.0.with("account", email.into()))
    }

    /// Sets where tokens are asked for. Used only if the options trust its host,
    /// as google-auth ignores it. Default: Google's token endpoint.
    pub fn token_uri(self, uri: impl Into<String>) -> Self {
        Self(self.0.with("token_uri", uri.into()))
    }

    /// Sets the proof of reauthentication that the organization asks for.
    /// Default: none.
    pub fn rapt_token(self, token: impl Into<String>) -> Self {
        Self(self.0.with("rapt_token", token.into()))
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
        let user = credentials_file::authorized_user(PLACE, &file)?;
        load::built(&options, PLACE, |loader, scopes, _| {
            Ok(loader.user(user, scopes))
        })
    }
}
