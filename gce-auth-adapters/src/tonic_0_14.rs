//! [tonic] 0.14: headers onto every call of a client, by an interceptor.
//!
//! ```no_run
//! # use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
//! use gce_auth_adapters::tonic_0_14::interceptor;
//!
//! # fn client(channel: tonic::transport::Channel) {
//! let credentials = gce_auth::Credentials::new();
//! let client = TraceServiceClient::with_interceptor(channel, interceptor(credentials));
//! # }
//! ```
//!
//! An interceptor cannot wait. Without a valid token in hand the call fails with `UNAVAILABLE`, and
//! a fetch begins in the background: call `wait_ready` at the start of the program. Prefer
//! `gce_auth::AuthLayer` (feature `tower`) where a client takes a tower service: it waits, and
//! replaces rejected tokens.
//!
//! [tonic]: https://docs.rs/tonic

use std::sync::Arc;

use gce_auth::ProvideHeaders;
use tonic::{Request, Status, metadata::MetadataMap, service::Interceptor};

/// Returns an interceptor that puts the headers of `provider` onto every call.
///
/// Providers other than gce-auth's own must implement
/// [`cached_headers`](ProvideHeaders::cached_headers): without it every call is `UNAVAILABLE`.
pub fn interceptor(provider: impl ProvideHeaders + 'static) -> Auth {
    Auth(Arc::new(provider))
}

/// Puts the headers of credentials onto every call.
#[derive(Clone, Debug)]
pub struct Auth(Arc<dyn ProvideHeaders>);

impl Interceptor for Auth {
    fn call(&mut self, request: Request<()>) -> Result<Request<()>, Status> {
        let Some(headers) = self.0.cached_headers() else {
            return Err(Status::unavailable(
                "gce-auth has no valid token yet and fetches one; repeat the call, or call wait_ready first",
            ));
        };
        let (metadata, extensions, message) = request.into_parts();
        let mut map = metadata.into_headers();
        headers.apply_to(&mut map);
        let metadata = MetadataMap::from_headers(map);
        Ok(Request::from_parts(metadata, extensions, message))
    }
}
