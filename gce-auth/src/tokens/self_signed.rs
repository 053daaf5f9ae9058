//! Tokens and assertions that a private key at hand signs.

use std::time::Duration;

use crate::{
    tokens::{credentials::Credentials, handle::Handle, source::Change},
    values::{
        error::{Error, ErrorKind},
        universe::DEFAULT_UNIVERSE,
    },
    wire::{assertion::LIFETIME, request::check_audience},
};

impl Credentials {
    /// Returns credentials whose tokens are JWTs that the private key signs for
    /// the service at this URL, and that are sent as they are (AIP-4111): no
    /// server is asked. No I/O.
    ///
    /// Google's APIs take them in place of access tokens; so does a server of
    /// one's own that knows the public key.
    ///
    /// # Errors
    /// [`InvalidOperation`](ErrorKind::InvalidOperation) unless these are of a
    /// key file; [`Config`](ErrorKind::Config) for an empty audience.
    ///
    /// # Examples
    /// ```no_run
    /// # fn main() -> Result<(), gce_auth::Error> {
    /// let key = gce_auth::Credentials::from_file("key.json")?;
    /// let signed = key.self_signed_jwt("https://pubsub.googleapis.com/")?;
    /// let headers = signed.blocking_headers()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn self_signed_jwt(&self, audience: impl Into<String>) -> Result<Self, Error> {
        let audience = audience.into();
        check_audience(&audience)?;
        let source = self.0.inner.source.self_signed(&audience).ok_or_else(|| {
            Error::new(
                ErrorKind::InvalidOperation,
                format!(
                    "credentials of the kind {} have no private key to sign tokens with",
                    self.kind().name()
                ),
            )
        })?;
        let options = self.0.inner.options.impersonating();
        Ok(Self(Handle::new(source, options)))
    }

    /// Returns credentials whose [self-signed JWTs](Self::self_signed_jwt) last
    /// this long. Default: 1 h.
    ///
    /// # Errors
    /// [`Config`](ErrorKind::Config) for less than 1 s or more than 1 h;
    /// [`InvalidOperation`](ErrorKind::InvalidOperation) for other credentials.
    pub fn with_jwt_lifetime(&self, lifetime: Duration) -> Result<Self, Error> {
        if lifetime < Duration::from_secs(1) || lifetime > LIFETIME {
            return Err(Error::new(
                ErrorKind::Config,
                "the lifetime of a self-signed JWT is not from 1 s to 1 h",
            ));
        }
        // A JWT counts whole seconds.
        let lifetime = Duration::from_secs(lifetime.as_secs());
        self.changed_or_refused(&Change::JwtLifetime(lifetime), "sign JWTs for one service")
    }

    /// Returns credentials whose assertions make these claims, too: a JSON
    /// object, which replaces claims of the same names.
    ///
    /// # Errors
    /// [`Config`](ErrorKind::Config) for what is no JSON object;
    /// [`InvalidOperation`](ErrorKind::InvalidOperation) unless these are of a
    /// key file.
    pub fn with_claims(&self, json: &str) -> Result<Self, Error> {
        crate::tokens::source::key_file::claims(json)?;
        self.changed_or_refused(&Change::Claims(json.to_owned()), "make assertions")
    }

    /// Returns credentials that sign their tokens themselves and send them as
    /// they are (AIP-4111): no server is asked. Default: for key files of
    /// another universe, and those for an audience.
    ///
    /// # Errors
    /// [`InvalidOperation`](ErrorKind::InvalidOperation) unless these are of a
    /// key file; [`Config`](ErrorKind::Config) to switch it off in another
    /// universe.
    pub fn with_jwt_access(&self, wanted: bool) -> Result<Self, Error> {
        let universe = self.0.inner.source.universe_domain();
        if !wanted && universe.is_some_and(|universe| universe != DEFAULT_UNIVERSE) {
            return Err(Error::new(
                ErrorKind::Config,
                "key files of another universe always sign their tokens themselves",
            ));
        }
        self.changed_or_refused(&Change::JwtAccess(wanted), "sign tokens")
    }

    /// Returns credentials whose tokens are signed here, for the service at
    /// this URL, unless scopes are asked for.
    ///
    /// # Errors
    /// [`InvalidOperation`](ErrorKind::InvalidOperation) unless these are of a
    /// key file.
    pub fn with_jwt_audience<'a>(
        &self,
        audience: impl Into<Option<&'a str>>,
    ) -> Result<Self, Error> {
        let audience = audience.into().map(str::to_owned);
        self.changed_or_refused(&Change::JwtAudience(audience), "sign tokens")
    }
}
