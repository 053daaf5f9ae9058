//! What went wrong with a request, as an error.

use std::{io, time::Duration};

#[cfg(feature = "tls")]
use crate::io::tls;
use crate::{
    io::transport::{Limits, TransportError, TransportErrorKind as Kind},
    values::error::Tenths,
    wire::http1::Malformed,
};

/// What was going on when something failed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Connect,
    Send,
    Head,
    Body,
}

pub(super) fn late(what: &str, limit: Duration) -> TransportError {
    TransportError::new(Kind::Timeout, format!("{what} within {}", Tenths(limit)))
}

pub(super) fn unresolved() -> TransportError {
    TransportError::new(Kind::Resolve, "the name has no address")
}

/// This process has no more file descriptors, say.
pub(super) fn unsent(error: io::Error) -> TransportError {
    TransportError::new(Kind::Connect, "no connection could be prepared").with_source(error)
}

pub(super) fn closed() -> TransportError {
    TransportError::new(
        Kind::Closed,
        "the connection was closed before a whole answer",
    )
}

pub(super) fn malformed(how: Malformed) -> TransportError {
    let (kind, what) = match how {
        Malformed::Nonsense => (Kind::Protocol, "the answer is not HTTP that makes sense"),
        Malformed::TooManyLines => (Kind::TooLarge, "the answer has too many headers"),
        Malformed::TooLong => (Kind::TooLarge, "the answer's body is too large"),
    };
    TransportError::new(kind, what)
}

/// Whether the other side hung up, as opposed to: took too long.
pub(super) fn is_broken(error: &io::Error) -> bool {
    use io::ErrorKind as K;
    matches!(
        error.kind(),
        K::BrokenPipe | K::ConnectionReset | K::ConnectionAborted
    )
}

pub(super) fn classify(error: io::Error, phase: Phase, limits: &Limits) -> TransportError {
    use io::ErrorKind as K;
    #[cfg(feature = "tls")]
    if let Some(refusal) = tls::refusal(&error) {
        return TransportError::new(Kind::Tls, refusal).with_source(error);
    }
    if matches!(error.kind(), K::TimedOut | K::WouldBlock) {
        return match phase {
            Phase::Connect => late("no connection", limits.connect),
            Phase::Send | Phase::Head => late("no answer", limits.first_byte),
            Phase::Body => late("no whole answer", limits.attempt),
        };
    }
    let (kind, message) = match error.kind() {
        K::ConnectionRefused => (Kind::Connect, "the connection was refused"),
        K::HostUnreachable | K::NetworkUnreachable | K::NetworkDown | K::AddrNotAvailable => {
            (Kind::Connect, "the address cannot be reached")
        }
        K::PermissionDenied => (Kind::Connect, "this system forbids the connection"),
        // An address that needs a zone, say; nothing was sent.
        K::InvalidInput if phase == Phase::Connect => {
            (Kind::Connect, "the address cannot be reached")
        }
        K::ConnectionReset | K::ConnectionAborted | K::BrokenPipe => {
            (Kind::Closed, "the connection was reset")
        }
        K::UnexpectedEof => return closed(),
        _ if phase == Phase::Connect => (Kind::Connect, "no connection could be made"),
        _ => (Kind::Closed, "the connection failed"),
    };
    TransportError::new(kind, message).with_source(error)
}
