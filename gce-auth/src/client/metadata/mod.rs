//! The metadata server, asked for one value.

mod exchange;
pub(crate) mod ping;

use http::Request;

use self::exchange::Exchange;
pub(crate) use self::exchange::let_go;
use crate::{
    client::{config::Config, retry},
    values::{budget::Budget, error::Error, token::Now},
    wire::{
        response::Answer,
        retry::{attempts::Attempts, server::Server},
    },
};

/// What an answer becomes: reads it at the moment the request was sent, which
/// is what every lifetime counts from.
pub(crate) trait Read<T>: Fn(&Answer, Now) -> Result<T, Error> {}
impl<T, F: Fn(&Answer, Now) -> Result<T, Error>> Read<T> for F {}

/// Sends `request` until it is answered, plainly refused, or out of budget.
///
/// A 301 that only adds the slash of a directory is asked again, once.
pub(crate) fn fetch<T>(
    config: &Config,
    budget: &mut Budget,
    request: &Request<Vec<u8>>,
    read: impl Read<T>,
) -> Result<T, Error> {
    run(config, budget, Exchange::new(config, request), read)
}

/// [`fetch`], but a request that may have arrived is not sent again.
pub(crate) fn fetch_once<T>(
    config: &Config,
    budget: &mut Budget,
    request: &Request<Vec<u8>>,
    read: impl Read<T>,
) -> Result<T, Error> {
    run(config, budget, Exchange::new(config, request).once(), read)
}

fn run<T>(
    config: &Config,
    budget: &mut Budget,
    mut exchange: Exchange<'_>,
    read: impl Read<T>,
) -> Result<T, Error> {
    let mut attempts = Attempts::new(&config.retry, Server::Metadata);
    // Only what follows is compiled for each kind of value.
    let (answer, sent) = retry::retry(&*config.clock, &mut attempts, budget, &mut exchange)?;
    read(&answer, sent).map_err(|error| retry::unusable(&attempts, &exchange, error))
}

#[cfg(all(test, not(gce_auth_loom)))]
mod tests;
