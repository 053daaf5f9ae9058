//! One call: a request, its attempts, one budget.

use std::time::Duration;

use http::{Request, Response};

use crate::{
    client::{
        config::Config,
        residency::{self, Verdict},
        secure::{self, Sent, Unsent},
    },
    io::{
        events,
        transport::{Limits, TransportError, TransportErrorKind},
    },
    values::{
        budget::Budget,
        error::{Error, ErrorKind},
        token::Now,
    },
    wire::{
        request,
        response::{self, Answer, Failure},
    },
};

/// An attempt that took this much longer than it may was not slow but frozen:
/// the process had no processor, or the machine was suspended.
const FROZEN: Duration = Duration::from_secs(2);
/// How often a frozen attempt is repeated without being counted.
const MOST_FROZEN: u32 = 3;
/// Where this is plainly not Google Cloud, an address that answers nobody is
/// given this long.
const ELSEWHERE: Duration = Duration::from_millis(700);

/// What an answer becomes: reads it at the moment the request was sent, which
/// is what every lifetime counts from.
pub(crate) trait Read<T>: Fn(&Answer, Now) -> Result<T, Error> {}
impl<T, F: Fn(&Answer, Now) -> Result<T, Error>> Read<T> for F {}

/// Sends `request` until it is answered, plainly refused, or out of budget.
///
/// A 301 that only adds the slash of a directory is asked again, once.
pub(crate) fn call<T>(
    config: &Config,
    budget: &mut Budget,
    request: &Request<Vec<u8>>,
    read: impl Read<T>,
) -> Result<T, Error> {
    let mut attempts = Attempts {
        config,
        budget,
        request,
        made: 0,
        frozen: 0,
        slashed: false,
        cut_short: false,
        told: None,
        took: Duration::ZERO,
    };
    // Only this is compiled for each kind of value.
    let (answer, sent) = attempts.run()?;
    read(&answer, sent).map_err(|error| attempts.fail(error))
}

struct Attempts<'a> {
    config: &'a Config,
    budget: &'a mut Budget,
    request: &'a Request<Vec<u8>>,
    made: u32,
    frozen: u32,
    slashed: bool,
    /// Whether the last attempt had less time than an attempt is worth.
    cut_short: bool,
    /// How the attempt before it failed.
    told: Option<Error>,
    took: Duration,
}

/// How an attempt ended without an answer to read.
enum Ended {
    /// For good.
    Final(Error),
    /// In a way that may pass.
    Transient(Failure),
    /// Ask this instead.
    Instead(Box<Request<Vec<u8>>>),
}

impl Attempts<'_> {
    /// The answer, and when what it answers was sent.
    fn run(&mut self) -> Result<(Answer, Now), Error> {
        let limits = self.limits();
        let mut instead = None;
        loop {
            if self.left().is_zero() {
                let late = || {
                    Error::new(
                        ErrorKind::Timeout,
                        "there was no time left to ask the metadata server",
                    )
                };
                let error = self.told.take().unwrap_or_else(late);
                return Err(self.finish(error));
            }
            let request = instead.as_deref().unwrap_or(self.request);
            match self.attempt(request, &limits) {
                Ok(answer) => return Ok(answer),
                Err(Ended::Final(error)) => return Err(self.fail(error)),
                Err(Ended::Instead(next)) => instead = Some(next),
                Err(Ended::Transient(failure)) => self.wait(failure)?,
            }
        }
    }

    fn attempt(
        &mut self,
        request: &Request<Vec<u8>>,
        limits: &Limits,
    ) -> Result<(Answer, Now), Ended> {
        let config = self.config;
        let sent = config.clock.now();
        let left = self.budget.left(sent);
        self.cut_short = left < limits.attempt;
        let Sent { response, allowed } = secure::send(config, request, limits, left);
        let took = config.clock.now().boot.saturating_sub(sent.boot);
        self.took = self.took.saturating_add(took);
        let over = took.saturating_sub(allowed);
        if response.is_err() && over > FROZEN && self.frozen < MOST_FROZEN {
            self.frozen += 1;
            self.budget.leave_out(took);
            return Err(Ended::Instead(Box::new(request.clone())));
        }
        let response = match response {
            Err(Unsent::Refused(error)) => return Err(Ended::Final(error)),
            response => response,
        };
        self.made += 1;
        self.budget.leave_out(over.saturating_sub(FROZEN));
        let response = response.map_err(|error| match error {
            Unsent::Broken(error) => broken(error, config),
            #[cfg(feature = "tls")]
            Unsent::Secured(error) => match broken(error, config) {
                // The certificates may be in the middle of being renewed.
                Ended::Final(error) => Ended::Transient(Failure::new(error)),
                ended => ended,
            },
            Unsent::Refused(error) => Ended::Final(error),
        })?;
        if let Some(next) = self.directory(request, &response) {
            return Err(Ended::Instead(Box::new(next)));
        }
        let answer = response::accept(response, sent).map_err(|failure| {
            if is_transient(failure.error.kind()) {
                Ended::Transient(failure)
            } else {
                Ended::Final(self.elsewhere(&failure).unwrap_or(failure.error))
            }
        })?;
        Ok((answer, sent))
    }

    /// The request with the slash that the server wants, the first time.
    fn directory(
        &mut self,
        request: &Request<Vec<u8>>,
        response: &Response<Vec<u8>>,
    ) -> Option<Request<Vec<u8>>> {
        let path = request.uri().path();
        if self.slashed || !response::adds_only_a_slash(response, path) {
            return None;
        }
        self.slashed = true;
        let query = request.uri().query().map(|query| format!("?{query}"));
        let target = format!("{path}/{}", query.unwrap_or_default());
        let mut parts = request.uri().clone().into_parts();
        parts.path_and_query = Some(target.parse().ok()?);
        let mut next = request.clone();
        *next.uri_mut() = http::Uri::from_parts(parts).ok()?;
        Some(next)
    }

    /// Waits before the next attempt, or gives up.
    fn wait(&mut self, failure: Failure) -> Result<(), Error> {
        let config = self.config;
        events::attempt_failed(&self.place(), self.made, &failure.error);
        if let Some(error) = self.elsewhere(&failure) {
            return Err(self.finish(error));
        }
        let wait = config.retry.next_wait(
            self.made,
            self.budget.waits(),
            failure.error.retry_after(),
            self.left(),
            config.clock.jitter(),
        );
        // That nothing came in the last blink of the budget says less than
        // what went wrong before it.
        let told = match self.told.take() {
            Some(told) if self.cut_short && failure.error.kind() == ErrorKind::Timeout => told,
            _ => failure.error,
        };
        let Some(wait) = wait else {
            return Err(self.finish(told));
        };
        self.told = Some(told);
        let before = config.clock.now();
        config.clock.sleep(wait);
        let slept = config.clock.now().boot.saturating_sub(before.boot);
        let over = slept.saturating_sub(wait);
        if over > FROZEN {
            self.budget.leave_out(over);
        }
        self.took = self.took.saturating_add(wait);
        Ok(())
    }

    fn left(&self) -> Duration {
        self.budget.left(self.config.clock.now())
    }

    /// `NotOnGce`, where nobody said where the server is and this machine says
    /// plainly that it is not Google's.
    fn elsewhere(&self, failure: &Failure) -> Option<Error> {
        let config = self.config;
        if config.configured || failure.genuine {
            return None;
        }
        let error = &failure.error;
        let evidence = residency::evidence(config);
        (evidence.verdict == Verdict::No).then(|| {
            Error::new(
                ErrorKind::NotOnGce,
                format!(
                    "this machine is not on Google Cloud: {}, and {error}",
                    evidence.why
                ),
            )
            .with_hint(
                "set GCE_METADATA_HOST to a metadata server, such as the one that \
                 `gce-auth emulate` starts",
            )
        })
    }

    fn limits(&self) -> Limits {
        let config = self.config;
        if !config.configured && residency::evidence(config).verdict == Verdict::No {
            return config.limits.within(ELSEWHERE);
        }
        config.limits.clone()
    }

    /// Ends with an attempt that failed for good.
    fn fail(&self, error: Error) -> Error {
        events::attempt_failed(&self.place(), self.made, &error);
        self.finish(error)
    }

    fn finish(&self, error: Error) -> Error {
        let error = match error.kind() {
            ErrorKind::Unavailable | ErrorKind::Timeout if error.status().is_none() => error
                .or_hint(if self.config.configured {
                    "is the metadata server at this address running, and can it be reached from here?"
                } else {
                    "the metadata server cannot be reached; does a firewall or network policy \
                     keep this program from 169.254.169.254?"
                }),
            _ => error,
        };
        error.at(self.place()).after(self.made, self.took)
    }

    /// What was asked for, for errors.
    fn place(&self) -> String {
        request::location(self.request)
    }
}

fn is_transient(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::Unavailable | ErrorKind::Timeout | ErrorKind::RateLimited
    )
}

/// The error of an attempt that brought no answer.
pub(super) fn unanswered(error: TransportError) -> Error {
    let kind = match error.kind() {
        TransportErrorKind::Resolve | TransportErrorKind::Connect | TransportErrorKind::Closed => {
            ErrorKind::Unavailable
        }
        TransportErrorKind::Timeout => ErrorKind::Timeout,
        TransportErrorKind::Protocol | TransportErrorKind::TooLarge => ErrorKind::InvalidResponse,
        TransportErrorKind::Tls => ErrorKind::Tls,
    };
    let failed = Error::new(kind, error.message());
    match error.into_source() {
        Some(source) => failed.with_source(source),
        None => failed,
    }
}

/// What an attempt without an answer means.
fn broken(error: TransportError, config: &Config) -> Ended {
    let unknown_name = error.kind() == TransportErrorKind::Resolve && config.configured;
    let mut failed = unanswered(error);
    if unknown_name {
        failed = failed.with_hint(
            "name the server by its address, 169.254.169.254, where names cannot be looked up",
        );
    }
    if is_transient(failed.kind()) {
        Ended::Transient(Failure::new(failed))
    } else {
        Ended::Final(failed)
    }
}

#[cfg(all(test, not(gce_auth_loom)))]
mod tests;
