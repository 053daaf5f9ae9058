//! google-auth's way with APIs beside the metadata server: whatever is no
//! answer is final, and some answers are asked for again.

use std::time::Duration;

use http::{Request, Response};

use crate::{
    client::{api, config::Config},
    io::transport::Limits,
    values::{error::Error, token::Now},
    wire::request,
};

/// What an answer is taken for.
#[derive(Debug)]
pub(crate) enum Judged<T> {
    /// What was asked for.
    Good(T),
    /// Ask again.
    Transient(Error),
    /// No.
    Final(Error),
}

/// Sends what `make` makes, at most `attempts` times, 1 s after the first and
/// then twice as long each time. `judge` is given the moment of sending.
pub(crate) fn repeat<T>(
    config: &Config,
    limits: &Limits,
    attempts: u32,
    mut make: impl FnMut() -> Result<Request<Vec<u8>>, Error>,
    judge: impl Fn(Response<Vec<u8>>, Now) -> Judged<T>,
) -> Result<T, Error> {
    let started = config.clock.now();
    let mut pause = Duration::from_secs(1);
    let mut made = 0;
    loop {
        let request = make()?;
        let place = request::location(&request);
        let sent = config.clock.now();
        made += 1;
        let judged = match config.transport.send(request, limits) {
            Ok(response) => judge(response, sent),
            Err(error) => Judged::Final(api::broken(error)),
        };
        let error = match judged {
            Judged::Good(value) => return Ok(value),
            Judged::Transient(_) if made < attempts => {
                config.clock.sleep(pause);
                pause = pause.saturating_mul(2);
                continue;
            }
            Judged::Transient(error) | Judged::Final(error) => error,
        };
        let elapsed = config.clock.now().boot.saturating_sub(started.boot);
        return Err(error.at(place).after(made, elapsed));
    }
}
