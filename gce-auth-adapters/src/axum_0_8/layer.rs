//! The check as a tower layer.

use std::{
    fmt,
    future::Future,
    mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use axum::response::{IntoResponse, Response};
use gce_auth::{IdTokenVerifier, VerifiedClaims};
use http::Request;
use tower_layer::Layer;
use tower_service::Service;

use super::{Rejection, verify};

type Predicate = dyn Fn(&VerifiedClaims) -> bool + Send + Sync;

/// A layer that lets in only requests with a valid ID token, of callers that may.
///
/// The service below finds the [`Identity`](super::Identity) in the extensions of the request.
///
/// ```no_run
/// # fn router(router: axum::Router, verifier: gce_auth::IdTokenVerifier) -> axum::Router {
/// use gce_auth_adapters::axum_0_8::RequireIdentity;
///
/// let me = "me@p.iam.gserviceaccount.com";
/// router.layer(RequireIdentity::new(verifier).allow(|caller| caller.is_email_verified() && caller.email() == Some(me)))
/// # }
/// ```
#[derive(Clone)]
pub struct RequireIdentity {
    verifier: IdTokenVerifier,
    allow: Arc<Predicate>,
}

impl RequireIdentity {
    /// Returns a layer that lets in every caller whose token verifies.
    #[must_use]
    pub fn new(verifier: IdTokenVerifier) -> Self {
        Self {
            verifier,
            allow: Arc::new(|_| true),
        }
    }

    /// Lets in only callers of which `allow` is true; others get 403. Call again to add a
    /// condition.
    #[must_use]
    pub fn allow(
        mut self,
        allow: impl Fn(&VerifiedClaims) -> bool + Send + Sync + 'static,
    ) -> Self {
        let before = self.allow;
        self.allow = Arc::new(move |claims| before(claims) && allow(claims));
        self
    }
}

impl fmt::Debug for RequireIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequireIdentity")
            .field("verifier", &self.verifier)
            .finish_non_exhaustive()
    }
}

impl<S> Layer<S> for RequireIdentity {
    type Service = Required<S>;

    fn layer(&self, inner: S) -> Required<S> {
        Required {
            inner,
            layer: self.clone(),
        }
    }
}

/// The service that [`RequireIdentity`] makes.
#[derive(Clone, Debug)]
pub struct Required<S> {
    inner: S,
    layer: RequireIdentity,
}

impl<S, B> Service<Request<B>> for Required<S>
where
    S: Service<Request<B>, Response = Response> + Clone + Send + 'static,
    S::Future: Send,
    B: Send + 'static,
{
    type Response = Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        // The service that is ready takes this request, and a clone of it the next one.
        let clone = self.inner.clone();
        let mut inner = mem::replace(&mut self.inner, clone);
        let layer = self.layer.clone();
        Box::pin(async move {
            let identity = match verify(&layer.verifier, request.headers()).await {
                Ok(identity) if (layer.allow)(&identity.0) => identity,
                Ok(_) => return Ok(Rejection::Forbidden.into_response()),
                Err(rejection) => return Ok(rejection.into_response()),
            };
            request.extensions_mut().insert(identity);
            inner.call(request).await
        })
    }
}
