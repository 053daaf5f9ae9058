//! [opentelemetry-otlp] 0.33: a valid token on each export, over gRPC or HTTP.
//!
//! ```no_run
//! # fn build() -> Result<(), Box<dyn std::error::Error>> {
//! use gce_auth_adapters::opentelemetry_otlp_0_33::interceptor;
//! use opentelemetry_otlp::{SpanExporter, WithTonicConfig};
//!
//! let credentials = gce_auth::Credentials::new();
//! let exporter = SpanExporter::builder().with_tonic().with_interceptor(interceptor(credentials)).build()?;
//! # Ok(())
//! # }
//! ```
//!
//! Over HTTP, [`AuthClient`] goes around the exporter's client:
//! `.with_http().with_http_client(AuthClient::new(client, credentials))`.
//!
//! Set `OTEL_EXPORTER_OTLP_HEADERS` for what does not change. A token there is the same until the
//! program ends.
//!
//! [opentelemetry-otlp]: https://docs.rs/opentelemetry-otlp

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use gce_auth::ProvideHeaders;
use http::{Request, Response, StatusCode};
use opentelemetry_http::{HttpClient, HttpError};

pub use crate::tonic_0_14::interceptor;

/// An HTTP client that puts the headers of credentials onto every request.
///
/// After a 401 the token is invalidated. If the next one differs, the request is sent once more.
#[derive(Clone, Debug)]
pub struct AuthClient<C> {
    inner: C,
    provider: Arc<dyn ProvideHeaders>,
}

impl<C: HttpClient> AuthClient<C> {
    /// Returns a client that sends through `inner` with the headers of `provider`.
    pub fn new(inner: C, provider: impl ProvideHeaders + 'static) -> Self {
        Self {
            inner,
            provider: Arc::new(provider),
        }
    }
}

#[async_trait]
impl<C: HttpClient> HttpClient for AuthClient<C> {
    async fn send_bytes(&self, mut request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let headers = self.provider.provide_headers().await?;
        headers.apply_to(request.headers_mut());
        let mut again = request.clone();
        let answer = self.inner.send_bytes(request).await?;
        if answer.status() != StatusCode::UNAUTHORIZED {
            return Ok(answer);
        }
        self.provider.invalidate_headers(&headers);
        match self.provider.provide_headers().await {
            Ok(others) if others.authorization() != headers.authorization() => {
                others.apply_to(again.headers_mut());
                self.inner.send_bytes(again).await
            }
            // Without another token there is no other answer.
            _ => Ok(answer),
        }
    }
}
