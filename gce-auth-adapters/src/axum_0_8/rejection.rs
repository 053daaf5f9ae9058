//! Why a request is refused, and what it is answered.

use std::fmt;

use axum::response::{IntoResponse, Response};
use gce_auth::{Error, ErrorKind};
use http::{HeaderValue, StatusCode, header::WWW_AUTHENTICATE};

/// Why a request is refused.
///
/// The answer has no body: what is wrong with a token is for the server's log, not for its sender.
#[derive(Debug)]
#[non_exhaustive]
pub enum Rejection {
    /// The request has no bearer token. Answer: 401.
    Missing,
    /// The request has one header with a token twice. Answer: 400.
    Ambiguous,
    /// The token did not verify (401), or the keys to verify it with could not be fetched (503).
    Invalid(Error),
    /// The caller is known and may not do this. Answer: 403.
    Forbidden,
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("the request has no bearer token"),
            Self::Ambiguous => f.write_str("the request has more than one token in one header"),
            Self::Invalid(error) => error.fmt(f),
            Self::Forbidden => f.write_str("the caller may not do this"),
        }
    }
}

impl std::error::Error for Rejection {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            // Its text is that of the rejection.
            Self::Invalid(error) => error.source(),
            _ => None,
        }
    }
}

impl IntoResponse for Rejection {
    fn into_response(self) -> Response {
        let (status, challenge) = match &self {
            Self::Missing => (StatusCode::UNAUTHORIZED, Some("Bearer")),
            Self::Ambiguous => (
                StatusCode::BAD_REQUEST,
                Some("Bearer error=\"invalid_request\""),
            ),
            Self::Invalid(error) if error.kind() == ErrorKind::Rejected => (
                StatusCode::UNAUTHORIZED,
                Some("Bearer error=\"invalid_token\""),
            ),
            Self::Invalid(_) => (StatusCode::SERVICE_UNAVAILABLE, None),
            Self::Forbidden => (StatusCode::FORBIDDEN, None),
        };
        let mut response = status.into_response();
        if let Some(challenge) = challenge {
            let challenge = HeaderValue::from_static(challenge);
            response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
        }
        response
    }
}
