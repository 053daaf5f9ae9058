//! [reqsign-core] 3 with reqsign-google: requests and URLs signed with gce-auth's tokens.
//!
//! ```no_run
//! use gce_auth_adapters::reqsign_core_3 as adapter;
//! use reqsign_core::{Context, Signer};
//! use reqsign_google::RequestSigner;
//!
//! let credentials = gce_auth::Credentials::new();
//! let signer = Signer::new(Context::new(), adapter::credential_provider(&credentials), RequestSigner::new("storage"));
//! ```
//!
//! reqsign keeps a token until two minutes before the expiry that it gets, and forever if it gets
//! none. It cannot be told of a rejected token. So it gets one minute: then it asks for each
//! signature, and a token that was invalidated is not used again.
//!
//! [reqsign-core]: https://docs.rs/reqsign-core

use std::time::{Duration, UNIX_EPOCH};

use gce_auth::{
    AccessToken, Credentials, Error,
    time::{Clock, SystemClock},
};
use reqsign_core::{Context, ErrorKind, ProvideCredential, time::Timestamp};
use reqsign_google::{Credential, Token};

/// The lifetime that reqsign gets: below the two minutes in which it asks for the next token, and
/// above the ten seconds that a token must still live.
const TOLD: Duration = Duration::from_secs(60);

/// Returns `ours` for `credential_provider` of a signer, or of opendal's `Gcs`.
#[must_use]
pub fn credential_provider(ours: &Credentials) -> Provider {
    Provider {
        ours: ours.clone(),
        signer: None,
    }
}

/// Credentials for reqsign.
#[derive(Clone, Debug)]
pub struct Provider {
    ours: Credentials,
    signer: Option<String>,
}

impl Provider {
    /// Sets the account that signs URLs through IAM. Without it, URLs cannot be signed.
    #[must_use]
    pub fn with_signer_email(mut self, email: impl Into<String>) -> Self {
        self.signer = Some(email.into());
        self
    }
}

impl ProvideCredential for Provider {
    type Credential = Credential;

    async fn provide_credential(&self, _: &Context) -> reqsign_core::Result<Option<Credential>> {
        let token = self.ours.token().await.map_err(reqsign_error)?;
        let credential = Credential::with_token(Token {
            access_token: token.secret().to_owned(),
            expires_at: Some(told_expiry(&token)?),
        });
        Ok(Some(match &self.signer {
            Some(email) => credential.with_signer_email(email),
            None => credential,
        }))
    }
}

fn told_expiry(token: &AccessToken) -> reqsign_core::Result<Timestamp> {
    let told = SystemClock::default().now().system_time() + TOLD;
    let end = token.expires_at().map_or(told, |end| end.min(told));
    let seconds = end.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    Timestamp::from_second(seconds.try_into().unwrap_or(i64::MAX))
}

fn reqsign_error(error: Error) -> reqsign_core::Error {
    let retryable = error.is_retryable();
    reqsign_core::Error::new(ErrorKind::CredentialInvalid, error.to_string())
        .with_source(error)
        .set_retryable(retryable)
}
