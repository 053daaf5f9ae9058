//! [axum] 0.8: who calls, by the ID token of the request.
//!
//! ```no_run
//! use axum::{Router, routing::get};
//! use gce_auth::IdTokenVerifier;
//! use gce_auth_adapters::axum_0_8::Identity;
//!
//! async fn hello(Identity(caller): Identity) -> String {
//!     format!("hello, {}\n", caller.email().unwrap_or(caller.subject()))
//! }
//!
//! # fn router() -> Result<Router, gce_auth::Error> {
//! let verifier = IdTokenVerifier::builder().audience("https://service.example").build()?;
//! let router = Router::new().route("/", get(hello)).with_state(verifier);
//! # Ok(router)
//! # }
//! ```
//!
//! A request without a valid token gets 401 with `WWW-Authenticate: Bearer` (RFC 6750), and 503 if
//! the keys of the issuer cannot be fetched. Verification proves who calls. Check yourself whether
//! that caller may, with [`Identity::allow`] or [`RequireIdentity::allow`], which answer 403.
//!
//! [axum]: https://docs.rs/axum

mod layer;
mod rejection;

use axum::extract::{FromRef, FromRequestParts};
use gce_auth::{IdTokenVerifier, VerifiedClaims};
use http::{HeaderMap, header::AUTHORIZATION, request::Parts};

pub use self::{
    layer::{RequireIdentity, Required},
    rejection::Rejection,
};

/// The verified claims of the caller's ID token, as an extractor.
///
/// The state of the router must be, or have (`FromRef`), an [`IdTokenVerifier`]. The token is taken
/// from `authorization`. If that header is missing, or is not a bearer token, it is taken from
/// `x-serverless-authorization`. (Behind Cloud Run's own check, the token in the latter comes
/// without its signature and does not verify.) A request with either header twice is refused.
#[derive(Clone, Debug)]
pub struct Identity(pub VerifiedClaims);

impl Identity {
    /// Returns the claims if `allow` is true of them. An email address says who the caller is only
    /// if [`is_email_verified`](VerifiedClaims::is_email_verified) is true.
    ///
    /// # Errors
    /// [`Rejection::Forbidden`], which answers 403.
    pub fn allow(
        self,
        allow: impl FnOnce(&VerifiedClaims) -> bool,
    ) -> Result<VerifiedClaims, Rejection> {
        if allow(&self.0) {
            Ok(self.0)
        } else {
            Err(Rejection::Forbidden)
        }
    }
}

impl<S> FromRequestParts<S> for Identity
where
    IdTokenVerifier: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = Rejection;

    /// Verifies the token, also below a [`RequireIdentity`]: that layer's verifier may accept other
    /// audiences than this router's.
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Rejection> {
        let verifier = IdTokenVerifier::from_ref(state);
        verify(&verifier, &parts.headers).await
    }
}

async fn verify(verifier: &IdTokenVerifier, headers: &HeaderMap) -> Result<Identity, Rejection> {
    let token = match bearer(headers, AUTHORIZATION.as_str())? {
        Some(token) => token,
        None => bearer(headers, "x-serverless-authorization")?.ok_or(Rejection::Missing)?,
    };
    let claims = verifier.verify(token).await.map_err(Rejection::Invalid)?;
    Ok(Identity(claims))
}

/// Returns the bearer token in the header `name`, if there is one.
fn bearer<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, Rejection> {
    let mut values = headers.get_all(name).iter();
    let value = values.next();
    if values.next().is_some() {
        return Err(Rejection::Ambiguous);
    }
    let parts = value.and_then(|value| value.to_str().ok()?.split_once(' '));
    Ok(parts.and_then(|(scheme, token)| {
        scheme
            .eq_ignore_ascii_case("bearer")
            .then(|| token.trim_matches(' '))
    }))
}
