//! [reqwest-middleware] 0.5: headers onto every request of a client, and once more after a 401.
//!
//! ```no_run
//! use gce_auth_adapters::reqwest_middleware_0_5::Auth;
//!
//! let credentials = gce_auth::Credentials::new();
//! let client = reqwest_middleware::ClientBuilder::new(reqwest::Client::new()).with(Auth::new(credentials)).build();
//! ```
//!
//! Use such a client for Google's APIs only: every host that it calls gets the token.
//!
//! [reqwest-middleware]: https://docs.rs/reqwest-middleware

use std::sync::Arc;

use async_trait::async_trait;
use gce_auth::ProvideHeaders;
use http::Extensions;
use reqwest::{Request, Response, StatusCode};
use reqwest_middleware::{Error, Middleware, Next, Result};

/// Puts the headers of credentials onto every request.
///
/// After a 401 the token is invalidated. If the next one differs and the body can be sent again (no
/// stream), the request is sent once more, and its second answer returned whatever it is.
#[derive(Clone, Debug)]
pub struct Auth(Arc<dyn ProvideHeaders>);

impl Auth {
    /// Returns a middleware over `provider`.
    pub fn new(provider: impl ProvideHeaders + 'static) -> Self {
        Self(Arc::new(provider))
    }
}

#[async_trait]
impl Middleware for Auth {
    async fn handle(
        &self,
        mut request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> Result<Response> {
        let headers = self.0.provide_headers().await;
        let headers = headers.map_err(|error| Error::Middleware(error.into()))?;
        headers.apply_to(request.headers_mut());
        let again = request.try_clone();
        let answer = next.clone().run(request, extensions).await?;
        if answer.status() != StatusCode::UNAUTHORIZED {
            return Ok(answer);
        }
        self.0.invalidate_headers(&headers);
        let Some(mut again) = again else {
            return Ok(answer);
        };
        match self.0.provide_headers().await {
            Ok(others) if others.authorization() != headers.authorization() => {
                // Its connection goes with the first answer: its body is not read.
                drop(answer);
                others.apply_to(again.headers_mut());
                next.run(again, extensions).await
            }
            // Without another token there is no other answer.
            _ => Ok(answer),
        }
    }
}
