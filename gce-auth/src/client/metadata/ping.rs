//! Does a metadata server answer? One request, or google-auth's few.

use std::time::Duration;

use http::{Request, Response};

use crate::{
    client::{
        config::MetadataClient,
        metadata::exchange::{Exchange, Unsent},
        retry::{self, Sent},
    },
    io::{env::Environment, threads::WorkKind, transport::Limits},
    values::{
        budget::Budget,
        endpoint::Endpoint,
        error::{Error, ErrorKind},
        token::Now,
    },
    wire::{
        request, response,
        retry::{
            RetryPolicy,
            attempts::{Attempt, Attempts},
            server::Server,
        },
    },
};

/// The ping of google-auth: three attempts of 3 s, 1 s and 2 s between them.
const GOOGLE_AUTH_ATTEMPTS: u32 = 3;

impl MetadataClient {
    /// Returns whether a metadata server answers at `GCE_METADATA_IP`, else at
    /// 169.254.169.254: google-auth's `ping`, which looks nowhere else.
    ///
    /// Attempts are as many as given, else `GCE_METADATA_DETECT_RETRIES`, else
    /// 3; 1 s after the first and 2 s after the second. The first answer
    /// decides, whatever it is.
    ///
    /// # Errors
    /// [`Config`](crate::ErrorKind::Config) where a variable, or the number of
    /// attempts, makes no sense; [`Tls`](crate::ErrorKind::Tls) where
    /// certificates are required and not there. Never because there is no answer.
    pub async fn ping(&self, attempts: Option<u32>) -> Result<bool, Error> {
        self.background(WorkKind::Other, move |client| {
            client.blocking_ping(attempts)
        })
        .await
    }

    /// [`ping`](Self::ping), waiting on this thread.
    ///
    /// # Errors
    /// As for [`ping`](Self::ping).
    pub fn blocking_ping(&self, attempts: Option<u32>) -> Result<bool, Error> {
        self.ping_like_google_auth(&Environment::read(), attempts)
    }

    /// Asks at `GCE_METADATA_IP`, else at the address; nowhere else.
    pub(crate) fn ping_like_google_auth(
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
        // 1, 2, 4 s and so on between attempts, as often as was asked for.
        let policy = RetryPolicy::google_auth()
            .attempts(attempts)
            .longest_wait(Duration::MAX)
            .jitter(0.0);
        match self.send_ping(&endpoint, &policy, config.limits.clone()) {
            Ok(Ok(())) => Ok(true),
            Err(error) if matches!(error.kind(), ErrorKind::Tls | ErrorKind::Config) => Err(error),
            // An answer that is no metadata server's is an answer.
            Ok(Err(_)) | Err(_) => Ok(false),
        }
    }

    /// One request, one answer, no retry.
    pub(crate) fn ping_once(&self, endpoint: &Endpoint, limit: Duration) -> Result<(), Error> {
        let once = RetryPolicy::new().attempts(1);
        self.send_ping(endpoint, &once, self.0.limits.within(limit))?
    }

    fn send_ping(
        &self,
        endpoint: &Endpoint,
        policy: &RetryPolicy,
        limits: Limits,
    ) -> Result<Result<(), Error>, Error> {
        let config = &*self.0;
        let request = request::ping(endpoint)?;
        let mut ping = Ping(Exchange::within(config, &request, limits));
        let mut attempts = Attempts::new(policy, Server::Metadata);
        let mut budget = Budget::new(config.clock.now(), Duration::MAX);
        retry::retry(&*config.clock, &mut attempts, &mut budget, &mut ping)
    }
}

/// A request that any answer answers, if only by no.
struct Ping<'a>(Exchange<'a>);

impl retry::Exchange for Ping<'_> {
    type Answer = Result<(), Error>;
    type Unsent = Unsent;

    fn limit(&self) -> Duration {
        self.0.limit()
    }

    fn request(&mut self) -> Result<Request<Vec<u8>>, Error> {
        self.0.request()
    }

    fn send(&self, request: Request<Vec<u8>>, limit: Duration, left: Duration) -> Sent<Self> {
        let Sent { response, allowed } = self.0.send(request, limit, left);
        Sent { response, allowed }
    }

    fn read(
        &mut self,
        response: Result<Response<Vec<u8>>, Unsent>,
        sent: Now,
    ) -> Attempt<Self::Answer> {
        match response {
            Err(unsent) => Attempt::Transient(Error::new(
                ErrorKind::Unavailable,
                unsent.transport_error().message(),
            )),
            Ok(response) => Attempt::Answer(
                response::accept(response, sent)
                    .map(drop)
                    .map_err(|failure| failure.error.at(self.location())),
            ),
        }
    }

    fn location(&self) -> String {
        self.0.location()
    }
}

/// The server that `GCE_METADATA_IP` names.
pub(crate) fn named_by_ip(text: &str) -> Result<Endpoint, Error> {
    Endpoint::parse(text).map_err(|error| {
        error
            .context("GCE_METADATA_IP")
            .with_hint("set GCE_METADATA_IP to an address, or unset it")
    })
}

/// A whole number above zero.
fn positive(text: &str) -> Option<u32> {
    text.trim().parse().ok().filter(|number| *number > 0)
}
