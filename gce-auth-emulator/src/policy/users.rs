//! Users with OAuth clients and refresh tokens.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A user who signed in with an OAuth client: the refresh token gives access tokens at `/token` and
/// at `/v1/oauthtoken`.
///
/// ```
/// use gce_auth_emulator::{Emulator, User};
///
/// let user = User::new("ada@example.com", "client-id", "client-secret", "1//refresh-token")
///     .scopes(["https://www.googleapis.com/auth/cloud-platform"]);
/// let emulator = Emulator::builder().user(user).start()?;
/// # Ok::<(), gce_auth_emulator::StartError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct User {
    pub(crate) email: String,
    #[serde(alias = "client-id")]
    pub(crate) client_id: String,
    #[serde(alias = "client-secret")]
    pub(crate) client_secret: String,
    #[serde(alias = "refresh-token")]
    pub(crate) refresh_token: String,
    #[serde(default = "gcloud_scopes")]
    pub(crate) scopes: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) rapt: Option<String>,
}

impl User {
    /// Makes a user with the scopes that `gcloud auth application-default login` asks for.
    #[must_use]
    pub fn new(
        email: impl Into<String>,
        client_id: impl Into<String>,
        client_secret: impl Into<String>,
        refresh_token: impl Into<String>,
    ) -> Self {
        Self {
            email: email.into(),
            client_id: client_id.into(),
            client_secret: client_secret.into(),
            refresh_token: refresh_token.into(),
            scopes: gcloud_scopes(),
            rapt: None,
        }
    }

    /// Whether both have one refresh token.
    pub(crate) fn is(&self, other: &Self) -> bool {
        self.refresh_token == other.refresh_token
    }

    /// Sets the scopes that the user consented to. A refresh asks for all of them or for some.
    #[must_use]
    pub fn scopes<S: Into<String>>(mut self, scopes: impl IntoIterator<Item = S>) -> Self {
        self.scopes = scopes.into_iter().map(Into::into).collect();
        self
    }

    /// Makes each refresh need this reauthentication proof token as `rapt`. Without it the answer
    /// is `invalid_grant` with the subtype `rapt_required`, with another one `invalid_rapt`.
    #[must_use]
    pub fn reauthentication(mut self, rapt: impl Into<String>) -> Self {
        self.rapt = Some(rapt.into());
        self
    }

    /// The user that every emulator has, unless others are configured.
    pub(crate) fn built_in() -> Self {
        Self::new(
            "developer@example.com",
            "emulator.apps.googleusercontent.com",
            "emulator-client-secret",
            "1//emulator-refresh-token",
        )
    }
}

impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("User")
            .field("email", &self.email)
            .field("client_id", &self.client_id)
            .field("scopes", &self.scopes)
            .finish_non_exhaustive()
    }
}

fn gcloud_scopes() -> Vec<String> {
    [
        "openid",
        "https://www.googleapis.com/auth/userinfo.email",
        "https://www.googleapis.com/auth/cloud-platform",
        "https://www.googleapis.com/auth/sqlservice.login",
    ]
    .map(Into::into)
    .to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_stay_out_of_debug_output() {
        let shown = format!("{:?}", User::built_in().reauthentication("proof"));
        assert!(shown.contains("developer@example.com"));
        for secret in ["emulator-client-secret", "1//", "proof"] {
            assert!(!shown.contains(secret), "{shown}");
        }
    }
}
