//! What came of a step, in the words of the oracle.

use std::io;

use gce_auth::{Error, ErrorKind};
use serde_json::{Value, json};

pub(super) type Outcome = Result<Value, Failure>;

/// A step that failed.
#[derive(Debug)]
pub(super) struct Failure {
    kind: &'static str,
    retryable: Option<bool>,
    message: String,
}

/// What google-auth does when it raises: its exception for the same error of the library depends on
/// it.
#[derive(Clone, Copy)]
pub(super) enum Raiser {
    /// A refresh: `RefreshError`.
    Refresh,
    /// A request to the metadata server for anything but a token: `TransportError`.
    Request,
    /// A signature: `TransportError`, or `RefreshError` if its access token cannot be fetched.
    Sign,
    /// A request to the metadata server for an ID token: `RefreshError`, or `ValueError` for what
    /// is no token.
    Identity,
    /// A signed assertion and its exchange at the token endpoint: each of the above.
    Grant,
    /// A search for credentials, or the reading of their file: `DefaultCredentialsError`.
    Find,
    /// A refresh of credentials from a file, or over others: by the server that was asked.
    Source,
    /// A check of arguments and state: `ValueError`.
    Check,
}

impl Failure {
    fn new(kind: &'static str, message: impl Into<String>) -> Self {
        Self {
            kind,
            retryable: None,
            message: message.into(),
        }
    }

    /// A step on an object whose creation failed.
    pub(super) fn missing() -> Self {
        Self::new("missing_object", "there is no such object")
    }

    /// A value of the wrong type, which Python notices and Rust cannot hold.
    pub(super) fn unusable(what: &str) -> Self {
        Self::new("value_error", what)
    }

    /// What google-auth refuses with its general error.
    pub(super) fn refused(message: &str) -> Self {
        Self::new("auth_error", message)
    }

    /// A step that is not known.
    pub(super) fn unknown(op: &str) -> Self {
        Self::new("auth_error", format!("unknown step {op}"))
    }

    /// What google-auth would raise.
    pub(super) fn of(error: &Error, raiser: Raiser) -> Self {
        let kind = match (error.kind(), raiser) {
            // The project that is asked for while credentials are loaded needs an exchange.
            (_, Raiser::Find) if exchanges(error) => "oauth_error",
            (_, Raiser::Find) => "default_credentials_error",
            (_, Raiser::Source) => of_source(error),
            (ErrorKind::Config, _) | (_, Raiser::Check) => "value_error",
            (ErrorKind::InvalidOperation, _) => "invalid_operation",
            // No request was made for want of a certificate.
            (ErrorKind::Tls, _) if error.attempts() == 0 || error.request().is_none() => {
                "mtls_error"
            }
            // An answer came, but no token.
            (ErrorKind::InvalidResponse | ErrorKind::Expired, Raiser::Identity)
                if error.status().is_none() =>
            {
                "value_error"
            }
            (ErrorKind::InvalidResponse | ErrorKind::Expired, Raiser::Grant)
                if !asks(error, "/computeMetadata/") && !asks(error, ":signBlob") =>
            {
                "value_error"
            }
            (_, Raiser::Refresh | Raiser::Identity) => "refresh_error",
            // A token was to be had first.
            (_, Raiser::Sign | Raiser::Grant) if asks(error, "/instance/service-accounts/") => {
                "refresh_error"
            }
            (_, Raiser::Sign) if exchanges(error) && error.status().is_some() => "oauth_error",
            (ErrorKind::InvalidResponse | ErrorKind::Expired, Raiser::Sign)
                if asks(error, "/token") =>
            {
                "refresh_error"
            }
            (_, Raiser::Sign) if asks(error, "/token") && error.status().is_some() => {
                "refresh_error"
            }
            (_, Raiser::Grant) if refused_by_token_endpoint(error) => "refresh_error",
            (_, Raiser::Request | Raiser::Sign | Raiser::Grant) => "transport_error",
        };
        Self {
            kind,
            retryable: Some(error.is_retryable()),
            message: error.to_string(),
        }
    }

    pub(super) fn to_json(&self) -> Value {
        let mut json = json!({"kind": self.kind, "message": self.message});
        if let Some(retryable) = self.retryable {
            json["retryable"] = retryable.into();
        }
        json
    }
}

/// What google-auth raises where credentials of a file, or of others, fail in their refresh.
fn of_source(error: &Error) -> &'static str {
    let answered = error.status().is_some();
    match error.kind() {
        // What is not there at the time of asking.
        ErrorKind::Config if says(error, "doesn't exist") || says(error, "is missing") => {
            "refresh_error"
        }
        // A subject token that is not in its file.
        ErrorKind::Config
            if says(error, "is no JSON object with")
                || says(error, "is not UTF-8")
                || says(error, "an empty token") =>
        {
            "refresh_error"
        }
        // What no request can be made of.
        ErrorKind::Config if says(error, "is not a URL") || says(error, "cannot be sent") => {
            "transport_error"
        }
        // A file, an executable or its answer.
        ErrorKind::Config => "value_error",
        ErrorKind::InvalidResponse
            if error.request().is_none() || says(error, "the metadata server of AWS") =>
        {
            "value_error"
        }
        // The metadata server under impersonated and downscoped credentials.
        _ if asks(error, "/computeMetadata/") => "refresh_error",
        _ if exchanges(error) && answered => "oauth_error",
        ErrorKind::InvalidResponse | ErrorKind::Expired if exchanges(error) => "value_error",
        ErrorKind::InvalidResponse | ErrorKind::Expired
            if asks(error, ":generateIdToken") && !answered && !says(error, "holds no token") =>
        {
            "value_error"
        }
        ErrorKind::Unavailable | ErrorKind::Timeout | ErrorKind::Tls if !answered => {
            "transport_error"
        }
        _ => "refresh_error",
    }
}

/// Whether the request was one to a token exchange (STS).
fn exchanges(error: &Error) -> bool {
    asks(error, "//sts.") || asks(error, "/oauthtoken") || says(error, "the token exchange")
}

fn says(error: &Error, what: &str) -> bool {
    error.to_string().contains(what)
}

fn asks(error: &Error, path: &str) -> bool {
    error
        .request()
        .is_some_and(|request| request.contains(path))
}

fn refused_by_token_endpoint(error: &Error) -> bool {
    error.status().is_some() && !asks(error, ":signBlob") && !asks(error, "/computeMetadata/")
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::new("unexpected_error", error.to_string())
    }
}

/// Says who raises, where the library says what went wrong.
pub(super) trait Raised<T> {
    fn raised_by(self, raiser: Raiser) -> Result<T, Failure>;
}

impl<T> Raised<T> for Result<T, Error> {
    fn raised_by(self, raiser: Raiser) -> Result<T, Failure> {
        self.map_err(|error| Failure::of(&error, raiser))
    }
}

#[cfg(test)]
mod tests;
