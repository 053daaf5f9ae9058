//! One call to an API that stands beside the metadata server: requests made
//! anew for each attempt, retried within one budget.

use http::{Request, Response};

use crate::{
    client::{call::unanswered, config::Config},
    io::transport::{Limits, TransportError},
    values::{
        error::{Error, ErrorKind},
        token::Now,
    },
    wire::{api::Refusal, request, retry::RetryPolicy},
};

/// How an API is called.
#[derive(Clone, Debug)]
pub(crate) struct Patience {
    pub(crate) limits: Limits,
    pub(crate) retry: RetryPolicy,
}

/// Calls until there is an answer that `read` takes, a final refusal, or no
/// attempt and no time left.
///
/// `make` is asked for the request before each attempt, so that each carries
/// the headers of its moment. `read` is given the moment of sending, from
/// which lifetimes count.
pub(crate) fn call<T>(
    config: &Config,
    patience: &Patience,
    mut make: impl FnMut() -> Result<Request<Vec<u8>>, Error>,
    read: impl Fn(Response<Vec<u8>>, Now) -> Result<T, Refusal>,
) -> Result<T, Error> {
    let started = config.clock.now();
    let total = patience.retry.total();
    let elapsed = || config.clock.now().boot.saturating_sub(started.boot);
    let mut made = 0;
    loop {
        // What making the request fails with has a place of its own.
        let request = make()?;
        let place = request::location(&request);
        let left = total.saturating_sub(elapsed());
        if left.is_zero() {
            let late = Error::new(ErrorKind::Timeout, "there was no time left to ask");
            return Err(late.at(place).after(made, elapsed()));
        }
        let sent = config.clock.now();
        let response = config
            .transport
            .send(request, &patience.limits.within(left));
        made += 1;
        let refusal = match response
            .map_err(|error| broken(error).into())
            .and_then(|it| read(it, sent))
        {
            Ok(value) => return Ok(value),
            Err(refusal) => refusal,
        };
        let left = total.saturating_sub(elapsed());
        let again = is_transient(&refusal.error)
            .then(|| {
                let sample = config.clock.jitter();
                let asked = refusal.error.retry_after();
                patience.retry.next_wait(made, 0, asked, left, sample)
            })
            .flatten();
        match again {
            Some(wait) => config.clock.sleep(wait),
            None => return Err(refusal.error.at(place).after(made, elapsed())),
        }
    }
}

/// No answer in a way that may pass, or one of the statuses that google-auth
/// repeats (`google.auth.iam.IAM_RETRY_CODES`).
fn is_transient(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Timeout)
        && matches!(error.status(), None | Some(500 | 502 | 503 | 504))
}

pub(super) fn broken(error: TransportError) -> Error {
    let failed = unanswered(error);
    if matches!(failed.kind(), ErrorKind::Unavailable | ErrorKind::Timeout) {
        return failed.with_hint(
            "can this host be reached from here? Without an external address, a machine needs \
             Private Google Access or Cloud NAT",
        );
    }
    failed
}
