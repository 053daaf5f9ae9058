//! Credentials for tests, which ask nobody.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use crate::{
    client::config::MetadataClient,
    credentials::{
        Credentials, Settled,
        source::{Learned, Origin, TokenSource, Wish},
    },
    io::transport::{Limits, Transport, TransportError, TransportErrorKind},
    refresh::{keeper::Keeper, policy::Policy},
    values::{
        error::Error,
        headers::sendable,
        secret::BearerValue,
        token::{Bearer, Validity},
    },
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
    /// Credentials that hold `token` until `expires_at`, for ever without it,
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
        let lifetime =
            |now: SystemTime| expires_at.map(|at| at.duration_since(now).unwrap_or(Duration::ZERO));
        Ok(Self::of_no_server(Origin::Fixed, &bearer, lifetime))
    }

    /// Credentials without any: their headers hold no `authorization`. For
    /// tests, and for servers that check nothing.
    #[must_use]
    pub fn anonymous() -> Self {
        // Never shown; it stands for "there is something to hand out".
        let bearer = Bearer::new(BearerValue::nothing(), Validity::ENDLESS);
        Self::of_no_server(Origin::Anonymous, &bearer, |_| None)
    }

    /// Puts a token in the place of the one that is held, or drops it: for
    /// tests, and as programs do that set google-auth's `token` and `expiry`.
    ///
    /// # Errors
    /// [`Config`](crate::ErrorKind::Config) for a token that cannot be sent.
    pub fn set_token(
        &self,
        token: Option<&str>,
        expires_at: Option<SystemTime>,
    ) -> Result<(), Error> {
        let keeper = self.0.engine.keeper();
        let Some(token) = token else {
            keeper.clear();
            return Ok(());
        };
        let bearer = sendable(token)?;
        let now = self.0.engine.now();
        let validity = expires_at.map_or(Validity::ENDLESS, |at| {
            let wall = at.duration_since(SystemTime::UNIX_EPOCH);
            Validity::until(now, wall.unwrap_or_default())
        });
        let policy = Policy::chosen(self.client().0.exact);
        let deadlines = policy.deadlines(&validity, 0.0);
        let bearer = bearer.lasting(validity);
        keeper.cell.store(bearer, deadlines);
        Ok(())
    }

    fn of_no_server(
        origin: Origin,
        bearer: &Bearer,
        lifetime: impl FnOnce(SystemTime) -> Option<Duration>,
    ) -> Self {
        let client = MetadataClient::builder()
            .endpoint("metadata.invalid")
            .transport(Arc::new(Nowhere))
            .build_without_environment();
        let wish = Wish::new();
        let settled = Settled {
            universe_domain: Some("googleapis.com".to_owned()),
            shared: false,
            ..Settled::new(wish.clone())
        };
        let keeper = Arc::new(Keeper::new(Policy::chosen(false)));
        let now = client.0.clock.now();
        let validity = match lifetime(now.system_time()) {
            Some(lifetime) => Validity::lasting(now, lifetime),
            None => Validity::ENDLESS,
        };
        let deadlines = Policy::chosen(false).deadlines(&validity, 0.0);
        keeper.cell.store(bearer.lasting(validity), deadlines);
        let mut source = TokenSource::new(client, wish, Learned::default());
        source.origin = origin;
        Self::with_source(Arc::new(source), keeper, settled, &Arc::default())
    }
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
