//! Where a request goes, and a connection there.

use std::{
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use http::{Uri, uri::Scheme};

use crate::io::{
    http::{
        connection::now,
        failure::{Phase, classify, late, unresolved},
    },
    transport::{Limits, TransportError, TransportErrorKind as Kind},
};

/// Host and port of a URI that is to be asked.
pub(super) fn authority(uri: &Uri) -> Result<(&str, u16), TransportError> {
    let host = uri.host().filter(|host| !host.is_empty());
    let host = host.ok_or_else(|| TransportError::new(Kind::Resolve, "the URL names no host"))?;
    let default = if is_https(uri) { 443 } else { 80 };
    Ok((host, uri.port_u16().unwrap_or(default)))
}

pub(super) fn is_https(uri: &Uri) -> bool {
    uri.scheme() == Some(&Scheme::HTTPS)
}

/// What one of so many addresses gets of the time that is left.
pub(super) fn share(left: Duration, untried: usize) -> Duration {
    let untried = u32::try_from(untried).unwrap_or(u32::MAX).max(1);
    (left / untried).max(Duration::from_millis(1))
}

/// The first of `addresses` that takes a connection. Each gets a fair share of
/// the time that is left.
pub(super) fn dial(
    addresses: &[SocketAddr],
    end: Duration,
    limits: &Limits,
) -> Result<TcpStream, TransportError> {
    let mut last = unresolved();
    for (untried, address) in (1..=addresses.len()).rev().zip(addresses) {
        let left = end.saturating_sub(now());
        if left.is_zero() {
            return Err(late("no connection", limits.connect));
        }
        match TcpStream::connect_timeout(address, share(left, untried)) {
            Ok(stream) => {
                // Small requests, each of which is waited for.
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Err(error) => last = classify(error, Phase::Connect, limits),
        }
    }
    Err(last)
}
