//! [google-cloud-token] 0.1: the `gcloud-*` crates.
//!
//! ```no_run
//! # use google_cloud_token::TokenSourceProvider;
//! # struct ClientConfig { token_source_provider: Option<Box<dyn TokenSourceProvider>> }
//! use gce_auth_adapters::google_cloud_token_0_1 as adapter;
//!
//! let credentials = gce_auth::Credentials::new();
//! let config = ClientConfig { token_source_provider: Some(Box::new(adapter::token_source_provider(&credentials))) };
//! ```
//!
//! Their interface cannot report a token that a server rejected: call [`Credentials::invalidate`].
//! It has no place for a quota project.
//!
//! [google-cloud-token]: https://docs.rs/google-cloud-token

use std::{error::Error as StdError, sync::Arc};

use async_trait::async_trait;
use gce_auth::Credentials;
use google_cloud_token::{TokenSource, TokenSourceProvider};

/// Returns `ours` for the field `token_source_provider` of a client's configuration.
#[must_use]
pub fn token_source_provider(ours: &Credentials) -> Provider {
    Provider(ours.clone())
}

/// Credentials for the `gcloud-*` crates.
#[derive(Clone, Debug)]
pub struct Provider(Credentials);

impl TokenSourceProvider for Provider {
    fn token_source(&self) -> Arc<dyn TokenSource> {
        Arc::new(self.clone())
    }
}

#[async_trait]
impl TokenSource for Provider {
    /// Returns the value of the `authorization` header: these crates send it as it is.
    async fn token(&self) -> Result<String, Box<dyn StdError + Send + Sync>> {
        let token = self.0.token().await?;
        Ok(format!("Bearer {}", token.secret()))
    }
}
