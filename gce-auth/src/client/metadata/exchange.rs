//! One value of the metadata server, as the retry loop sees it.

use std::{sync::atomic::Ordering::Relaxed, time::Duration};

use http::{Request, Response};

#[cfg(feature = "tls")]
use crate::{
    client::mutual_tls::{self, Mode},
    io::identity::ClientIdentity,
};
use crate::{
    client::{
        config::Config,
        evidence::Verdict,
        retry::{self, Sent},
    },
    io::{
        clock::Clock,
        interrupt::Interrupt,
        transport::{Limits, TransportError, TransportErrorKind},
    },
    values::{
        error::{Error, ErrorKind},
        token::Now,
    },
    wire::{
        request,
        response::{self, Answer, Failure},
        retry::attempts::Attempt,
    },
};

/// Where this is plainly not Google Cloud, an address that never answers gets
/// this long.
const ELSEWHERE: Duration = Duration::from_millis(700);
/// How long a wait goes on after the last caller left.
const SLICE: Duration = Duration::from_millis(100);

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Unsent {
    /// The way there failed.
    Broken(TransportError),
    /// The way there failed, where no other is allowed.
    #[cfg(feature = "tls")]
    Secured(TransportError),
}

impl Unsent {
    pub(super) fn transport_error(self) -> TransportError {
        match self {
            Self::Broken(error) => error,
            #[cfg(feature = "tls")]
            Self::Secured(error) => error,
        }
    }
}

/// A request for one value, and what came of it so far.
pub(super) struct Exchange<'a> {
    config: &'a Config,
    request: &'a Request<Vec<u8>>,
    /// What the server wants to be asked in its place.
    instead: Option<Request<Vec<u8>>>,
    /// A refusal that counts if its sender is a metadata server, and the request
    /// that tells.
    unproven: Option<(Error, Request<Vec<u8>>)>,
    /// Whether a request that may have arrived is not sent again.
    once: bool,
    limits: Limits,
    interrupt: Option<Interrupt>,
    #[cfg(feature = "tls")]
    identity: Option<(ClientIdentity, Mode)>,
}

impl<'a> Exchange<'a> {
    pub(super) fn new(config: &'a Config, request: &'a Request<Vec<u8>>) -> Self {
        let elsewhere = !config.configured && config.evidence().verdict == Verdict::No;
        let limits = if elsewhere {
            config.limits.within(ELSEWHERE)
        } else {
            config.limits.clone()
        };
        Self::within(config, request, limits)
    }

    /// With limits of its own.
    pub(super) fn within(
        config: &'a Config,
        request: &'a Request<Vec<u8>>,
        limits: Limits,
    ) -> Self {
        Self {
            config,
            request,
            instead: None,
            unproven: None,
            once: false,
            limits,
            interrupt: Interrupt::of(request),
            #[cfg(feature = "tls")]
            identity: None,
        }
    }

    /// The same; a request that may have arrived is not sent again.
    pub(super) fn once(mut self) -> Self {
        self.once = true;
        self
    }

    fn is_let_go(&self) -> bool {
        self.interrupt.as_ref().is_some_and(Interrupt::is_raised)
    }

    /// What an answer that is a failure means.
    fn failed(&mut self, failure: Failure) -> Attempt<(Answer, Now)> {
        if !failure.genuine {
            if let Some(error) = self.elsewhere(&failure.error) {
                return Attempt::Final(error);
            }
        }
        let proven = &self.config.proven;
        if failure.needs_proof && !proven.load(Relaxed) {
            let ping = self.config.endpoint().and_then(request::ping);
            return match ping {
                Ok(ping) => {
                    self.unproven = Some((failure.error, ping));
                    Attempt::Aside
                }
                Err(error) => Attempt::Final(error),
            };
        }
        if self.once {
            return Attempt::Final(failure.error);
        }
        Attempt::Failed(failure.error)
    }

    /// What a refusal means, now that `GET /` was answered, or not.
    fn prove(
        &mut self,
        response: Result<Response<Vec<u8>>, Unsent>,
        sent: Now,
    ) -> Attempt<(Answer, Now)> {
        let response = match response {
            Ok(response) => response,
            Err(unsent) => return Attempt::Broken(self.broken(unsent.transport_error())),
        };
        let flavor = response::has_flavor(&response);
        let passes = response::accept(response, sent).err().filter(|failure| {
            let kind = failure.error.kind();
            matches!(kind, ErrorKind::Unavailable | ErrorKind::RateLimited)
        });
        match (flavor, passes, self.unproven.take()) {
            (true, _, Some((refusal, _))) => {
                self.config.proven.store(true, Relaxed);
                Attempt::Final(refusal)
            }
            // A server that is down says nothing about itself.
            (false, Some(failure), unproven) => {
                self.unproven = unproven;
                Attempt::Failed(failure.error)
            }
            (_, _, unproven) => {
                let status = unproven.and_then(|(refusal, _)| refusal.status());
                Attempt::Final(response::impostor(status))
            }
        }
    }

    /// What an attempt without an answer means.
    fn broken(&self, error: TransportError) -> Error {
        let unknown_name = error.kind() == TransportErrorKind::Resolve && self.config.configured;
        let failed = retry::unanswered(error);
        if unknown_name {
            return failed.with_hint(
                "name the server by its address, 169.254.169.254, where names cannot be looked up",
            );
        }
        failed
    }

    /// The request with the slash that the server wants, the first time.
    fn directory(&self, response: &Response<Vec<u8>>) -> Option<Request<Vec<u8>>> {
        let uri = self.request.uri();
        if self.instead.is_some() || !response::adds_only_a_slash(response, uri.path()) {
            return None;
        }
        let query = uri.query().map(|query| format!("?{query}"));
        let target = format!("{}/{}", uri.path(), query.unwrap_or_default());
        let mut parts = uri.clone().into_parts();
        parts.path_and_query = Some(target.parse().ok()?);
        let mut next = self.request.clone();
        *next.uri_mut() = http::Uri::from_parts(parts).ok()?;
        Some(next)
    }

    /// `NotOnGce`, where no setting names the server and this machine says
    /// plainly that it is not Google's.
    fn elsewhere(&self, error: &Error) -> Option<Error> {
        if self.config.configured {
            return None;
        }
        let evidence = self.config.evidence();
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
}

impl retry::Exchange for Exchange<'_> {
    type Answer = (Answer, Now);
    type Unsent = Unsent;

    fn limit(&self) -> Duration {
        self.limits.attempt
    }

    fn request(&mut self) -> Result<Request<Vec<u8>>, Error> {
        if self.is_let_go() {
            return Err(let_go());
        }
        let request = match &self.unproven {
            Some((_, ping)) => ping,
            None => self.instead.as_ref().unwrap_or(self.request),
        };
        #[cfg(feature = "tls")]
        {
            let identity = self.config.mutual_tls.identity(request.uri());
            self.identity = identity.map_err(|error| error.at(request::location(request)))?;
        }
        Ok(request.clone())
    }

    fn send(&self, request: Request<Vec<u8>>, limit: Duration, left: Duration) -> Sent<Self> {
        let limits = self.limits.within(limit);
        #[cfg(feature = "tls")]
        if let Some((identity, mode)) = self.identity.clone() {
            return self.send_secured(request, &limits, left, identity, mode);
        }
        let _ = left;
        let response = self.config.transport.send(request, &limits);
        Sent {
            response: response.map_err(Unsent::Broken),
            allowed: limits.attempt,
        }
    }

    fn read(
        &mut self,
        response: Result<Response<Vec<u8>>, Unsent>,
        sent: Now,
    ) -> Attempt<(Answer, Now)> {
        if self.unproven.is_some() {
            return self.prove(response, sent);
        }
        let attempt = match response {
            Err(Unsent::Broken(error)) if self.once && may_have_arrived(&error) => {
                Attempt::Final(self.broken(error))
            }
            Err(Unsent::Broken(error)) => Attempt::Broken(self.broken(error)),
            // The certificates may be in the middle of being renewed.
            #[cfg(feature = "tls")]
            Err(Unsent::Secured(error)) => Attempt::Transient(self.broken(error)),
            Ok(response) => {
                if let Some(next) = self.directory(&response) {
                    self.instead = Some(next);
                    return Attempt::Redirected;
                }
                match response::accept(response, sent) {
                    Ok(answer) => {
                        self.config.proven.store(true, Relaxed);
                        return Attempt::Answer((answer, sent));
                    }
                    Err(failure) => return self.failed(failure),
                }
            }
        };
        let elsewhere = attempt.error().and_then(|error| self.elsewhere(error));
        elsewhere.map_or(attempt, Attempt::Final)
    }

    fn location(&self) -> String {
        request::location(self.request)
    }

    fn explain(&self, error: Error) -> Error {
        match error.kind() {
            ErrorKind::Unavailable | ErrorKind::Timeout if error.status().is_none() => error
                .or_hint(if self.config.configured {
                    "is the metadata server at this address running, and can it be reached from here?"
                } else {
                    "the metadata server cannot be reached; does a firewall or network policy \
                     keep this program from 169.254.169.254?"
                }),
            _ => error,
        }
    }

    fn pause(&self, clock: &dyn Clock, wait: Duration) {
        if self.interrupt.is_none() {
            return clock.sleep(wait);
        }
        let mut left = wait;
        while !left.is_zero() && !self.is_let_go() {
            let slice = left.min(SLICE);
            clock.sleep(slice);
            left -= slice;
        }
    }
}

#[cfg(feature = "tls")]
impl Exchange<'_> {
    /// Sends over HTTPS and, where that may be and is of use, without it.
    fn send_secured(
        &self,
        request: Request<Vec<u8>>,
        limits: &Limits,
        left: Duration,
        identity: ClientIdentity,
        mode: Mode,
    ) -> Sent<Self> {
        let config = self.config;
        let sent = config.clock.now();
        let secured = mutual_tls::secured(&request, identity);
        let answer = config.transport.send(secured, limits);
        let took = config.clock.now().boot.saturating_sub(sent.boot);
        let once = |response| Sent {
            response,
            allowed: limits.attempt,
        };
        if mode == Mode::Strict {
            return once(answer.map_err(Unsent::Secured));
        }
        let enough = answer.as_ref().is_ok_and(|answer| {
            let status = answer.status();
            // google-auth falls back after every failure.
            let refusal = status.is_client_error()
                && response::has_flavor(answer)
                && !config.retry.is_google_auth();
            refusal || !(status.is_client_error() || status.is_server_error())
        });
        let left = left.saturating_sub(took);
        if enough || left.is_zero() {
            return once(answer.map_err(Unsent::Broken));
        }
        // What is there without a certificate?
        if self.once && answer.as_ref().err().is_none_or(may_have_arrived) {
            return once(answer.map_err(Unsent::Broken));
        }
        let second = limits.within(left);
        let response = config.transport.send(request, &second);
        Sent {
            response: response.map_err(Unsent::Broken),
            allowed: limits.attempt.saturating_add(second.attempt),
        }
    }
}

/// Whether the server may have the request, although there is no answer.
fn may_have_arrived(error: &TransportError) -> bool {
    let kind = error.kind();
    !matches!(
        kind,
        TransportErrorKind::Resolve | TransportErrorKind::Connect
    )
}

/// The error of a request whose last caller left; no caller sees
/// it.
pub(crate) fn let_go() -> Error {
    Error::new(ErrorKind::Unavailable, "the last caller left")
}
