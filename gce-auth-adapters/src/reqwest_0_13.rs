//! [reqwest] 0.13: headers onto one request.
//!
//! ```no_run
//! use gce_auth_adapters::reqwest_0_13::Authorize;
//!
//! # async fn list() -> Result<(), Box<dyn std::error::Error>> {
//! let credentials = gce_auth::Credentials::new();
//! let client = reqwest::Client::new();
//! let answer = client.get("https://storage.googleapis.com/storage/v1/b/b/o").authorize(&credentials).await?.send().await?;
//! # Ok(())
//! # }
//! ```
//!
//! A rejected token is not noticed here: `reqwest_middleware_0_5` does that, or call
//! [`invalidate_headers`](ProvideHeaders::invalidate_headers).
//!
//! [reqwest]: https://docs.rs/reqwest

use std::future::Future;

use gce_auth::{Error, ProvideHeaders};
use reqwest::{RequestBuilder, header::HeaderMap};

/// Puts the headers of credentials onto a request that is being built.
pub trait Authorize: Sized {
    /// Returns the request with the headers of `provider`, in place of those of the same names.
    /// Another credential's `x-goog-user-project` stays if this one has none: build such a request
    /// anew.
    ///
    /// # Errors
    /// As for `headers` of the provider.
    fn authorize<P: ProvideHeaders + ?Sized>(
        self,
        provider: &P,
    ) -> impl Future<Output = Result<Self, Error>> + Send;
}

impl Authorize for RequestBuilder {
    async fn authorize<P: ProvideHeaders + ?Sized>(self, provider: &P) -> Result<Self, Error> {
        let mut map = HeaderMap::with_capacity(3);
        provider.provide_headers().await?.apply_to(&mut map);
        Ok(self.headers(map))
    }
}
