//! The one loop that sends requests: it drives the state machine of
//! [`Attempts`] with this client's clock, over blocking transports.

use std::time::Duration;

use http::{Request, Response};

use crate::{
    io::{
        clock::Clock,
        events,
        transport::{TransportError, TransportErrorKind},
    },
    task::under_way,
    values::{
        budget::Budget,
        error::{Error, ErrorKind},
        token::Now,
    },
    wire::retry::attempts::{Attempt, Attempts, Next, Timing},
};

/// A request and the server that it is for, as the loop sees them.
pub(super) trait Exchange {
    type Answer;
    /// Why there is no answer.
    type Unsent;

    /// The longest time that an attempt may take.
    fn limit(&self) -> Duration;

    /// The request of the next attempt.
    ///
    /// # Errors
    /// Ends the operation as they are.
    fn request(&mut self) -> Result<Request<Vec<u8>>, Error>;

    /// Sends a request once, within `limit` and what is `left` of the budget.
    fn send(&self, request: Request<Vec<u8>>, limit: Duration, left: Duration) -> Sent<Self>;

    /// What came of a request that was sent at `sent`.
    fn read(
        &mut self,
        response: Result<Response<Vec<u8>>, Self::Unsent>,
        sent: Now,
    ) -> Attempt<Self::Answer>;

    /// What is asked for, for errors.
    fn location(&self) -> String;

    /// Adds to an error what this server says about it.
    fn explain(&self, error: Error) -> Error {
        error
    }

    /// Waits before the next attempt.
    fn pause(&self, clock: &dyn Clock, wait: Duration) {
        clock.sleep(wait);
    }
}

/// An answer, or none, and how long this was allowed to take.
pub(super) struct Sent<E: Exchange + ?Sized> {
    pub(super) response: Result<Response<Vec<u8>>, E::Unsent>,
    pub(super) allowed: Duration,
}

/// Sends requests until there is an answer, a final failure, or no attempt and
/// no time left.
pub(super) fn retry<E: Exchange>(
    clock: &dyn Clock,
    attempts: &mut Attempts,
    budget: &mut Budget,
    exchange: &mut E,
) -> Result<E::Answer, Error> {
    loop {
        let request = under_way::within(budget, || exchange.request())?;
        let sent = clock.now();
        let limit = match attempts.begin(exchange.limit(), budget, sent) {
            Ok(limit) => limit,
            Err(error) => return Err(exchange.explain(error).at(exchange.location())),
        };
        let left = budget.left(sent);
        let Sent { response, allowed } = under_way::outside(|| exchange.send(request, limit, left));
        let ended = clock.now();
        let attempt = exchange.read(response, sent);
        if let Some(error) = attempt.error() {
            events::attempt_failed(&exchange.location(), attempts.made() + 1, error);
        }
        let timing = Timing {
            took: ended.boot.saturating_sub(sent.boot),
            allowed,
        };
        // Only a failure is followed by a wait.
        let sample = attempt.error().map_or(0.0, |_| clock.jitter());
        match attempts.end(attempt, timing, budget, ended, sample) {
            Next::Done(answer) => return Ok(answer),
            Next::Send => {}
            Next::Wait(wait) => {
                exchange.pause(clock, wait);
                let slept = clock.now().boot.saturating_sub(ended.boot);
                Attempts::woke(slept, wait, budget);
            }
            Next::GiveUp(error) => return Err(exchange.explain(error).at(exchange.location())),
        }
    }
}

/// The error of an answer that cannot be used.
pub(super) fn unusable<E: Exchange>(attempts: &Attempts, exchange: &E, error: Error) -> Error {
    events::attempt_failed(&exchange.location(), attempts.made(), &error);
    exchange
        .explain(attempts.finish(error))
        .at(exchange.location())
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
