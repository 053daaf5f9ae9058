//! Credentials for tests, which send no request.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use crate::{
    client::config::MetadataClient,
    io::transport::{Limits, Transport, TransportError, TransportErrorKind},
    refresh::{policy::Policy, refreshes::Refreshes},
    tokens::{
        credentials::Credentials,
        handle::{Handle, Options},
        id_token_credentials::IdTokenCredentials,
        source::fixed::Fixed,
    },
    values::{
        error::Error,
        headers::sendable,
        secret::BearerValue,
        token::{Bearer, Now, Validity},
        universe::DEFAULT_UNIVERSE,
    },
    wire::retry::RetryPolicy,
};

/// Carries nothing anywhere.
#[derive(Debug)]
struct Nowhere;

impl Transport for Nowhere {
    fn send(
        &self,
        _: http::Request<Vec<u8>>,
        _: &Limits,
    ) -> Result<http::Response<Vec<u8>>, TransportError> {
        Err(TransportError::new(
            TransportErrorKind::Connect,
            "these credentials are made for tests and ask no server",
        ))
    }
}

impl Credentials {
    /// Returns credentials that hold `token` until `expires_at`, forever without it,
    /// and never ask for another. For tests.
    ///
    /// # Errors
    /// [`Config`](crate::ErrorKind::Config) for a token that cannot be sent.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), gce_auth::Error> {
    /// let credentials = gce_auth::Credentials::fixed("ya29.test", None)?;
    /// let headers = credentials.blocking_headers()?;
    /// assert_eq!(headers.authorization().unwrap(), "Bearer ya29.test");
    /// # Ok(())
    /// # }
    /// ```
    pub fn fixed(token: &str, expires_at: Option<SystemTime>) -> Result<Self, Error> {
        let bearer = sendable(token)?;
        Ok(Self(Handle::of_no_server(&bearer, expires_at, None)))
    }

    /// Returns credentials without any: their headers hold no `authorization`. For
    /// tests, and for servers that check nothing.
    #[must_use]
    pub fn anonymous() -> Self {
        let nothing = Bearer::new(BearerValue::nothing(), Validity::ENDLESS);
        Self(Handle::of_no_server(&nothing, None, None))
    }
}

impl IdTokenCredentials {
    /// Returns credentials that hold the ID token `token` for `audience` until
    /// `expires_at`, forever without it, and never ask for another. For tests.
    ///
    /// # Errors
    /// [`Config`](crate::ErrorKind::Config) for a token that cannot be sent.
    pub fn fixed(
        audience: impl Into<String>,
        token: &str,
        expires_at: Option<SystemTime>,
    ) -> Result<Self, Error> {
        let (bearer, audience) = (sendable(token)?, Some(audience.into()));
        Ok(Self(Handle::of_no_server(&bearer, expires_at, audience)))
    }
}

impl Handle {
    pub(crate) fn set_token(
        &self,
        token: Option<&str>,
        expires_at: Option<SystemTime>,
    ) -> Result<(), Error> {
        let refreshes = self.inner.cache.refreshes();
        let Some(token) = token else {
            refreshes.clear();
            return Ok(());
        };
        let validity = validity(self.now(), expires_at);
        refreshes.set(sendable(token)?.lasting(validity));
        Ok(())
    }

    fn of_no_server(
        bearer: &Bearer,
        expires_at: Option<SystemTime>,
        audience: Option<String>,
    ) -> Self {
        let client = MetadataClient::builder()
            .endpoint("metadata.invalid")
            .transport(Arc::new(Nowhere))
            // No second attempt has a better answer.
            .retry(RetryPolicy::new().attempts(1))
            .build_without_environment();
        let options = Options {
            universe_domain: Some(DEFAULT_UNIVERSE.to_owned()),
            ..Options::default()
        };
        let refreshes = Refreshes::alone(Policy::chosen(false));
        let validity = validity(client.0.clock.now(), expires_at);
        refreshes.set(bearer.lasting(validity));
        let source = Fixed {
            client,
            account: "default".to_owned(),
            scopes: None,
            default_scopes: None,
            audience,
        };
        Self::fixed(Arc::new(source), refreshes, options)
    }
}

fn validity(now: Now, expires_at: Option<SystemTime>) -> Validity {
    expires_at.map_or(Validity::ENDLESS, |at| {
        let wall = at.duration_since(SystemTime::UNIX_EPOCH);
        Validity::until(now, wall.unwrap_or(Duration::ZERO))
    })
}

#[cfg(all(test, not(gce_auth_loom)))]
mod tests {
    use super::*;
    use crate::values::error::ErrorKind;

    #[test]
    fn a_fixed_token_is_never_renewed() {
        let credentials = Credentials::fixed("ya29.t", None).unwrap();
        assert_eq!(credentials.blocking_token().unwrap().secret(), "ya29.t");
        assert_eq!(credentials.expires_at(), None);
        assert!(credentials.invalidate(&credentials.cached_token().unwrap()));
        let error = credentials.blocking_headers().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidOperation);
        assert!(Credentials::fixed("a b", None).is_err());
    }

    #[test]
    fn the_client_of_a_fixed_token_asks_no_server() {
        let access = Credentials::fixed("t", None).unwrap();
        let clock = access.client().0.clock.clone();
        let began = clock.now().boot;
        let identity = IdTokenCredentials::fixed("aud", "t", None).unwrap();
        let anonymous = Credentials::anonymous();
        for client in [access.client(), identity.client(), anonymous.client()] {
            let error = client.blocking_get("instance/name").unwrap_err();
            assert!(
                error.request().unwrap().contains("//metadata.invalid/"),
                "{error}"
            );
            assert_eq!(error.kind(), ErrorKind::Unavailable);
        }
        // With a second attempt each waited out its budget of 10 s.
        assert!(clock.now().boot - began < Duration::from_secs(5));
    }

    #[test]
    fn an_expired_fixed_token_is_an_error() {
        let credentials = Credentials::fixed("t", Some(SystemTime::UNIX_EPOCH)).unwrap();
        let error = credentials.blocking_token().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidOperation);
    }

    #[test]
    fn anonymous_credentials_authorize_nothing() {
        let credentials = Credentials::anonymous();
        let headers = credentials.blocking_headers().unwrap();
        assert!(headers.authorization().is_none());
        assert_eq!(headers.iter().count(), 0);
        let error = credentials.blocking_token().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidOperation);
        let billed = credentials.with_quota_project("p");
        assert!(billed.is_ok());
        // There is nothing in them to be rejected, and they go on.
        assert!(!credentials.invalidate_headers(&headers));
        assert!(credentials.blocking_headers().is_ok());
    }
}
