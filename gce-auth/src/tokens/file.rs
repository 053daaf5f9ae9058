//! What a credentials file of credentials says.

use std::fmt;

use crate::{
    tokens::{credentials::Credentials, info::CredentialsKind},
    values::secret::SecretText,
    wire::credentials_file::{external_account, written::Written},
};

impl Credentials {
    /// Returns what a credentials file of these credentials says by now: with
    /// the refresh token that came last, and what copies have changed. Without
    /// an access token. A user that a service account acts for
    /// (`with_subject`), more claims and a lifetime stand in no file: set them
    /// again on what is made of it. No I/O.
    ///
    /// `None` where no file describes them: for the metadata server, downscoped
    /// and fixed credentials, and accounts that others than users and keys act
    /// as.
    ///
    /// # Examples
    /// ```no_run
    /// # fn main() -> Result<(), gce_auth::Error> {
    /// let credentials = gce_auth::Credentials::from_file("adc.json")?;
    /// if let Some(file) = credentials.file() {
    ///     println!("a client {:?} of {:?}", file.client_id(), file.account());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn file(&self) -> Option<CredentialsFile> {
        let written = self.0.inner.source.file()?;
        let quota_project = self.quota_project_id();
        Some(CredentialsFile {
            kind: self.kind(),
            written: written.with("quota_project_id", quota_project),
        })
    }
}

/// What a credentials file says.
///
/// Holds secrets; `Debug` shows none of them.
pub struct CredentialsFile {
    kind: CredentialsKind,
    written: Written,
}

impl CredentialsFile {
    /// Returns the account of a user (`account`), or the email address of a
    /// service account with a key (`client_email`).
    #[must_use]
    pub fn account(&self) -> Option<&str> {
        let text = |name| self.written.text(name);
        text("account").or_else(|| text("client_email"))
    }

    /// Returns the id of the OAuth client.
    #[must_use]
    pub fn client_id(&self) -> Option<&str> {
        self.written.text("client_id")
    }

    /// Returns where tokens are asked for: `token_uri`, or the `token_url` of an
    /// external account.
    #[must_use]
    pub fn token_uri(&self) -> Option<&str> {
        let text = |name| self.written.text(name);
        text("token_uri").or_else(|| text("token_url"))
    }

    /// Returns the audience of an external account: the full name of the
    /// provider in its pool.
    #[must_use]
    pub fn audience(&self) -> Option<&str> {
        self.written.text("audience")
    }

    /// Returns the project of a service account with a key.
    #[must_use]
    pub fn project_id(&self) -> Option<&str> {
        self.written.text("project_id")
    }

    /// Returns the number of the project that a workload pool is in.
    #[must_use]
    pub fn project_number(&self) -> Option<&str> {
        external_account::project_number(self.audience()?)
    }

    /// Returns whether tokens are those of a person, and not of a service
    /// account or a workload.
    #[must_use]
    pub fn is_user(&self) -> bool {
        match self.kind {
            CredentialsKind::AuthorizedUser | CredentialsKind::ExternalAccountAuthorizedUser => {
                true
            }
            CredentialsKind::ExternalAccount => {
                let target = self.written.text("service_account_impersonation_url");
                self.is_workforce_pool() && target.is_none()
            }
            _ => false,
        }
    }

    /// Returns whether the audience is a workforce pool: of people, not of
    /// workloads.
    #[must_use]
    pub fn is_workforce_pool(&self) -> bool {
        self.audience()
            .is_some_and(external_account::is_workforce_pool)
    }

    /// Returns the file as JSON, with all its secrets:
    /// [`Credentials::from_json`] reads it.
    #[must_use]
    pub fn to_json(&self) -> CredentialsJson {
        CredentialsJson(self.written.to_json())
    }
}

impl fmt::Debug for CredentialsFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CredentialsFile")
            .field("kind", &self.kind)
            .field("account", &self.account())
            .field("token_uri", &self.token_uri())
            .field("audience", &self.audience())
            .finish_non_exhaustive()
    }
}

/// A credentials file as JSON: a secret, wiped when it is dropped.
///
/// `Debug` shows nothing of it, and there is no `Display`.
#[derive(Clone)]
pub struct CredentialsJson(SecretText);

impl CredentialsJson {
    /// Returns the JSON document.
    #[must_use]
    pub fn secret(&self) -> &str {
        self.0.reveal()
    }
}

impl fmt::Debug for CredentialsJson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CredentialsJson([redacted])")
    }
}
