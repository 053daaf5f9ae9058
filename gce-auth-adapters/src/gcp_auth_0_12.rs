//! [gcp_auth] 0.12: everything that takes its `TokenProvider`.
//!
//! ```no_run
//! use gce_auth_adapters::gcp_auth_0_12 as adapter;
//!
//! let credentials = gce_auth::Credentials::new();
//! let provider: std::sync::Arc<dyn gcp_auth::TokenProvider> = adapter::token_provider(&credentials);
//! ```
//!
//! A request for scopes gets a token with those scopes, where the credentials have a choice. An
//! empty list gets a token with the credentials' own. Calls for the same scopes share one token;
//! those of `unshared` credentials do for the credentials' own scopes alone.
//!
//! [gcp_auth]: https://docs.rs/gcp_auth

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use gce_auth::{
    Credentials,
    time::{Clock, SystemClock},
};
use gcp_auth::{Error, Token, TokenProvider};
use serde_json::json;

/// The lifetime given to a token without an expiry, as gcp_auth's tokens all have one.
const LONG: Duration = Duration::from_secs(3600);

/// Returns `ours` as gcp_auth's `TokenProvider`.
#[must_use]
pub fn token_provider(ours: &Credentials) -> Arc<dyn TokenProvider> {
    Arc::new(Provider(ours.clone()))
}

struct Provider(Credentials);

#[async_trait]
impl TokenProvider for Provider {
    async fn token(&self, scopes: &[&str]) -> Result<Arc<Token>, Error> {
        let token = match scopes {
            [] => self.0.token().await,
            scopes if self.0.scopes().is_some_and(|own| own == scopes) => self.0.token().await,
            scopes => self.0.with_scopes(scopes.iter().copied()).token().await,
        };
        let token = token.map_err(|error| Error::Other("gce-auth has no token", error.into()))?;
        let now = SystemClock::default().now().system_time();
        let left = match token.expires_at() {
            Some(end) => end.duration_since(now).unwrap_or_default(),
            None => LONG,
        };
        // Their token has no other constructor than that from an answer of the server.
        let answer = json!({ "access_token": token.secret(), "expires_in": left.as_secs() });
        let token = serde_json::from_value(answer)
            .map_err(|error| Error::Json("gcp_auth cannot read a token of gce-auth", error))?;
        Ok(Arc::new(token))
    }

    async fn project_id(&self) -> Result<Arc<str>, Error> {
        match self.0.project_id().await {
            Ok(Some(project)) => Ok(project.into()),
            Ok(None) => Err(Error::Str("these credentials of gce-auth name no project")),
            Err(error) => Err(Error::Other("gce-auth has no project", error.into())),
        }
    }
}
