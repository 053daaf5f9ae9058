//! [ureq] 3, blocking: headers onto every request of an agent.
//!
//! ```no_run
//! use gce_auth_adapters::ureq_3::Auth;
//!
//! let credentials = gce_auth::Credentials::new();
//! let agent: ureq::Agent = ureq::Agent::config_builder().middleware(Auth::new(credentials)).build().into();
//! ```
//!
//! Use such an agent for Google's APIs only: every host that it calls gets the token. After a 401
//! the token is invalidated, and the next request has another one. The request is not sent again,
//! as ureq has no copy of its body.
//!
//! [ureq]: https://docs.rs/ureq

use gce_auth::{Credentials, Error as AuthError, Headers, IdTokenCredentials, ProvideHeaders};
use ureq::{
    Body, Error, SendBody,
    http::{Request, Response, StatusCode},
    middleware::{Middleware, MiddlewareNext},
};

/// Credentials that a blocking client can use.
pub trait BlockingHeaders: ProvideHeaders + 'static {
    /// Returns the headers of a request, waiting on this thread.
    ///
    /// # Errors
    /// As for `headers` of the credentials.
    fn blocking_headers(&self) -> Result<Headers, AuthError>;
}

impl BlockingHeaders for Credentials {
    fn blocking_headers(&self) -> Result<Headers, AuthError> {
        self.blocking_headers()
    }
}

impl BlockingHeaders for IdTokenCredentials {
    fn blocking_headers(&self) -> Result<Headers, AuthError> {
        self.blocking_headers()
    }
}

/// Puts the headers of credentials onto every request.
#[derive(Clone, Debug)]
pub struct Auth<P>(P);

impl<P: BlockingHeaders> Auth<P> {
    /// Returns a middleware over `provider`: [`Credentials`] or [`IdTokenCredentials`].
    pub fn new(provider: P) -> Self {
        Self(provider)
    }
}

impl<P: BlockingHeaders> Middleware for Auth<P> {
    fn handle(
        &self,
        mut request: Request<SendBody<'_>>,
        next: MiddlewareNext<'_>,
    ) -> Result<Response<Body>, Error> {
        let headers = self.0.blocking_headers();
        let headers = headers.map_err(|error| Error::Other(error.into()))?;
        headers.apply_to(request.headers_mut());
        let answer = next.handle(request);
        let rejected = match &answer {
            Ok(answer) => answer.status() == StatusCode::UNAUTHORIZED,
            Err(Error::StatusCode(status)) => *status == 401,
            Err(_) => false,
        };
        if rejected {
            self.0.invalidate_headers(&headers);
        }
        answer
    }
}
