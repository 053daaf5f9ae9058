//! A tower layer that puts headers onto requests.

pub(crate) mod copy;
pub(crate) mod future;
pub(crate) mod protocol;

use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request, Response};
use tower_layer::Layer;
use tower_service::Service;

use self::{
    copy::{BodyCopy, CloneBody, CopyWith, NoCopy},
    future::AuthFuture,
    protocol::{Grpc, Http, Protocol},
};
pub use crate::middleware::future::BoxError;
use crate::provide::ProvideHeaders;

/// Puts the headers of a [`ProvideHeaders`] onto each request, and drops a token
/// that is rejected; a tower layer. Needs the feature `tower`.
///
/// It does for tower what google-auth's `AuthorizedSession` does for `requests`.
/// The provider is asked once for each request. A request waits until there is
/// a token; with one in hand it does not wait, and nothing is allocated. Status
/// 401 drops the token that was sent, and no other. The answer is then returned,
/// unless the request can be sent again: see
/// [`resend_clones`](Self::resend_clones) and [`resend_with`](Self::resend_with).
///
/// The `authorization` of the request is always removed, also when the provider
/// has none (anonymous credentials): a
/// reverse proxy never passes the header of its caller on. All other headers of
/// the request stay, `x-goog-user-project` and `x-allowed-locations` among them.
///
/// The inner service must be `Clone`, as the clients of hyper-util and tonic are:
/// a request may wait for its token while others overtake it.
///
/// The [error](BoxError) of the service is boxed. If there is no token, it is an
/// [`Error`](crate::Error), and the request was not sent.
///
/// # Examples
/// ```
/// use gce_auth::{AuthLayer, BoxError, Credentials};
/// use http::{Request, Response};
/// use tower_layer::Layer;
/// use tower_service::Service;
///
/// fn authorized<S>(client: S) -> impl Service<
///     Request<String>,
///     Response = Response<String>,
///     Error = BoxError,
/// >
/// where
///     S: Service<Request<String>, Response = Response<String>, Error = BoxError> + Clone,
/// {
///     let layer = AuthLayer::new(Credentials::new()).resend_clones();
///     layer.layer(client)
/// }
/// # let _ = authorized::<Nothing>;
/// # #[derive(Clone)]
/// # struct Nothing;
/// # impl Service<Request<String>> for Nothing {
/// #     type Response = Response<String>;
/// #     type Error = BoxError;
/// #     type Future = std::future::Ready<Result<Self::Response, BoxError>>;
/// #     fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), BoxError>> {
/// #         Ok(()).into()
/// #     }
/// #     fn call(&mut self, _: Request<String>) -> Self::Future {
/// #         std::future::ready(Ok(Response::default()))
/// #     }
/// # }
/// ```
///
/// Under a tonic channel, whose clients then see
/// [rejected tokens](Self::grpc) as well:
/// ```
/// use gce_auth::{AuthLayer, Credentials};
/// use tower_layer::Layer;
///
/// # fn under<S>(channel: S) {
/// let channel = AuthLayer::new(Credentials::new()).grpc().layer(channel);
/// // let client = PublisherClient::new(channel);
/// # let _ = channel;
/// # }
/// ```
#[derive(Clone)]
pub struct AuthLayer<C = NoCopy, P = Http> {
    provider: Arc<dyn ProvideHeaders>,
    copy: C,
    protocol: P,
}

impl AuthLayer {
    /// Returns a layer that puts the headers of `provider` onto requests:
    /// [`Credentials`](crate::Credentials),
    /// [`IdTokenCredentials`](crate::IdTokenCredentials), or a type of your own.
    #[must_use]
    pub fn new(provider: impl ProvideHeaders + 'static) -> Self {
        Self {
            provider: Arc::new(provider),
            copy: NoCopy,
            protocol: Http,
        }
    }
}

impl<C, P> AuthLayer<C, P> {
    /// Sends a request once more if its token is rejected and there is another
    /// token. Clones each body beforehand, so `Clone` should be cheap:
    /// `Full<Bytes>`, `Bytes` and `Empty` are, `String` and `Vec` are not.
    /// Returns the second answer, whatever it is. Default: sends once.
    #[must_use]
    pub fn resend_clones(self) -> AuthLayer<CloneBody, P> {
        self.with_copy(CloneBody)
    }

    /// Does the same for bodies that are not `Clone`, or not always worth a copy:
    /// calls `copy` before a request is sent; after `None`, the request is sent
    /// once.
    ///
    /// # Examples
    /// ```
    /// use gce_auth::{AuthLayer, Credentials};
    ///
    /// /// A body that may be a stream, which cannot be sent twice.
    /// enum Body {
    ///     Bytes(Vec<u8>),
    ///     Stream,
    /// }
    ///
    /// let layer = AuthLayer::new(Credentials::new()).resend_with(|body: &Body| match body {
    ///     Body::Bytes(bytes) if bytes.len() < 64 * 1024 => Some(Body::Bytes(bytes.clone())),
    ///     _ => None,
    /// });
    /// # let _ = (layer, Body::Stream);
    /// ```
    #[must_use]
    pub fn resend_with<B, F>(self, copy: F) -> AuthLayer<CopyWith<F>, P>
    where
        F: Fn(&B) -> Option<B> + Clone,
    {
        self.with_copy(CopyWith(copy))
    }

    /// Treats gRPC status 16 (`UNAUTHENTICATED`) as a rejected token, too. In an
    /// answer without a body it counts as a 401. In trailers, which arrive after
    /// the answer was returned, it only drops the token: the next call has
    /// another one.
    #[must_use]
    pub fn grpc(self) -> AuthLayer<C, Grpc> {
        AuthLayer {
            provider: self.provider,
            copy: self.copy,
            protocol: Grpc,
        }
    }

    fn with_copy<D>(self, copy: D) -> AuthLayer<D, P> {
        AuthLayer {
            provider: self.provider,
            copy,
            protocol: self.protocol,
        }
    }
}

impl<S, C: Clone, P: Clone> Layer<S> for AuthLayer<C, P> {
    type Service = AuthService<S, C, P>;

    fn layer(&self, inner: S) -> Self::Service {
        AuthService {
            inner,
            layer: self.clone(),
        }
    }
}

impl<C, P> fmt::Debug for AuthLayer<C, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthLayer")
            .field("provider", &self.provider)
            .finish_non_exhaustive()
    }
}

/// A service whose requests carry headers: see [`AuthLayer`].
#[derive(Clone)]
pub struct AuthService<S, C = NoCopy, P = Http> {
    inner: S,
    layer: AuthLayer<C, P>,
}

impl<S, C, P> AuthService<S, C, P> {
    /// Returns the service inside.
    #[must_use]
    pub fn into_inner(self) -> S {
        self.inner
    }
}

impl<S, B, R, C, P> Service<Request<B>> for AuthService<S, C, P>
where
    S: Service<Request<B>, Response = Response<R>> + Clone,
    S::Error: Into<BoxError>,
    C: BodyCopy<B>,
    P: Protocol,
{
    type Response = Response<P::Body<R>>;
    type Error = BoxError;
    type Future = AuthFuture<S, B, P>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // The one that is ready goes along.
        let next = self.inner.clone();
        let ready = std::mem::replace(&mut self.inner, next);
        let copy = self.layer.copy.copy(request.body());
        AuthFuture::new(ready, Arc::clone(&self.layer.provider), request, copy)
    }
}

impl<S: fmt::Debug, C, P> fmt::Debug for AuthService<S, C, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthService")
            .field("inner", &self.inner)
            .field("layer", &self.layer)
            .finish()
    }
}

#[cfg(all(test, not(gce_auth_loom)))]
mod tests;
