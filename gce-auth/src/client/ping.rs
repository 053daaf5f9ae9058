//! Does a metadata server answer? One request, or google-auth's few.

use std::time::Duration;

use crate::{
    client::{
        builder::positive,
        config::MetadataClient,
        secure::{self, Unsent},
    },
    io::{env::Environment, transport::TransportError},
    values::{
        endpoint::Endpoint,
        error::{Error, ErrorKind},
    },
    wire::{request, response},
};

/// The ping of google-auth: three attempts of 3 s, 1 s and 2 s between them.
const GOOGLE_AUTH_ATTEMPTS: u32 = 3;

impl MetadataClient {
    /// [`ping`](Self::ping), waiting on this thread.
    ///
    /// # Errors
    /// As for [`ping`](Self::ping).
    pub fn blocking_ping(&self, attempts: Option<u32>) -> Result<bool, Error> {
        self.ping_like_google_auth(&Environment::read(), attempts)
    }

    /// Asks at `GCE_METADATA_IP`, else at the address; nowhere else.
    pub(super) fn ping_like_google_auth(
        &self,
        environment: &Environment,
        attempts: Option<u32>,
    ) -> Result<bool, Error> {
        let config = &*self.0;
        // A variable that makes no sense is an error here as everywhere.
        config.endpoint()?;
        let attempts = match (attempts, &environment.detect_retries) {
            (Some(0), _) => {
                return Err(Error::new(
                    ErrorKind::Config,
                    "a ping needs at least one attempt",
                ));
            }
            (Some(attempts), _) => attempts,
            (None, None) => GOOGLE_AUTH_ATTEMPTS,
            (None, Some(text)) => positive(text).ok_or_else(|| {
                Error::new(
                    ErrorKind::Config,
                    format!("GCE_METADATA_DETECT_RETRIES is {text:?}, which is no count"),
                )
                .with_hint("set it to a whole number above zero, or unset it")
            })?,
        };
        let endpoint = match &environment.metadata_ip {
            Some(text) => named_by_ip(text)?,
            None => Endpoint::well_known(),
        };
        for attempt in 1..=attempts {
            match self.ping_once(&endpoint, config.limits.attempt) {
                Ok(()) => return Ok(true),
                Err(error) if matches!(error.kind(), ErrorKind::Tls | ErrorKind::Config) => {
                    return Err(error);
                }
                // An answer that is no metadata server's is an answer.
                Err(error)
                    if error.status().is_some() || error.kind() == ErrorKind::NotMetadataServer =>
                {
                    return Ok(false);
                }
                Err(_) if attempt < attempts => {
                    let wait = Duration::from_secs(1 << (attempt - 1).min(16));
                    config.clock.sleep(wait);
                }
                Err(_) => {}
            }
        }
        Ok(false)
    }

    /// One request, one answer, no retry.
    pub(super) fn ping_once(&self, endpoint: &Endpoint, limit: Duration) -> Result<(), Error> {
        let config = &*self.0;
        let request = request::ping(endpoint)?;
        let broken = |error: &TransportError| {
            Error::new(ErrorKind::Unavailable, error.message()).at(request::location(&request))
        };
        let limits = config.limits.within(limit);
        let sent = secure::send(config, &request, &limits, Duration::MAX);
        let answer = sent.response.map_err(|error| match error {
            Unsent::Refused(error) => error,
            Unsent::Broken(error) => broken(&error),
            #[cfg(feature = "tls")]
            Unsent::Secured(error) => broken(&error),
        })?;
        response::accept(answer, config.clock.now())
            .map(drop)
            .map_err(|failure| failure.error.at(request::location(&request)))
    }
}

/// The server that `GCE_METADATA_IP` names.
pub(super) fn named_by_ip(text: &str) -> Result<Endpoint, Error> {
    Endpoint::parse(text).map_err(|error| {
        error
            .context("GCE_METADATA_IP")
            .with_hint("set GCE_METADATA_IP to an address, or unset it")
    })
}
