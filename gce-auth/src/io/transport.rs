//! What carries a request to a server and its answer back.

use std::{borrow::Cow, error::Error as StdError, fmt, sync::Arc, time::Duration};

use http::{Request, Response};

/// The limits of one attempt: time, and size of the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Time to look up a name, and again to connect.
    pub connect: Duration,
    /// Time from the request's last byte to the end of the answer's headers.
    pub first_byte: Duration,
    /// Time for the whole attempt, from the look-up to the body's last byte.
    pub attempt: Duration,
    /// The longest body that is read, in bytes.
    pub body_bytes: usize,
    /// The longest status line and headers that are read, in bytes.
    pub header_bytes: usize,
    /// The most header lines that are accepted; the library's transport never
    /// accepts more than 256.
    pub header_lines: usize,
}

impl Limits {
    /// Returns the default limits: 2 s to connect, 3 s for headers and body together, 1 MiB of
    /// body, 64 KiB and 100 lines of headers.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            connect: Duration::from_secs(2),
            first_byte: Duration::from_secs(3),
            attempt: Duration::from_secs(3),
            body_bytes: 1024 * 1024,
            header_bytes: 64 * 1024,
            header_lines: 100,
        }
    }

    /// The same for servers that may be far: 5 s to connect and 15 s for the
    /// answer, where a time is the default.
    #[cfg(feature = "iam")]
    pub(crate) fn of_apis(&self) -> Self {
        let default = Self::new();
        let far = |given: Duration, default: Duration, seconds| match given == default {
            true => Duration::from_secs(seconds),
            false => given,
        };
        Self {
            connect: far(self.connect, default.connect, 5),
            first_byte: far(self.first_byte, default.first_byte, 15),
            attempt: far(self.attempt, default.attempt, 15),
            ..self.clone()
        }
    }

    /// The same, with no time limit beyond `longest`.
    pub(crate) fn within(&self, longest: Duration) -> Self {
        Self {
            connect: self.connect.min(longest),
            first_byte: self.first_byte.min(longest),
            attempt: self.attempt.min(longest),
            ..self.clone()
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::new()
    }
}

/// Why a request brought no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TransportErrorKind {
    /// The name of the server could not be looked up.
    Resolve,
    /// No connection: refused, unreachable.
    Connect,
    /// The connection broke before the answer was whole.
    Closed,
    /// A time limit passed.
    Timeout,
    /// What came back is not HTTP.
    Protocol,
    /// The answer is larger than the limits allow.
    TooLarge,
    /// The secure connection could not be made.
    Tls,
}

/// A request that brought no answer.
///
/// The message must hold nothing secret: it becomes a part of an
/// [`Error`](crate::Error).
#[derive(Clone)]
pub struct TransportError {
    kind: TransportErrorKind,
    message: Cow<'static, str>,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

impl TransportError {
    /// Returns an error of `kind`; `message` is one line without a full stop.
    #[must_use]
    pub fn new(kind: TransportErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            kind,
            message: message.into(),
            source: None,
        }
    }

    /// Adds the error behind this one.
    #[must_use]
    pub fn with_source(mut self, source: impl StdError + Send + Sync + 'static) -> Self {
        self.source = Some(Arc::new(source));
        self
    }

    /// Returns what broke.
    #[must_use]
    pub fn kind(&self) -> TransportErrorKind {
        self.kind
    }

    pub(crate) fn message(&self) -> Cow<'static, str> {
        self.message.clone()
    }

    pub(crate) fn into_source(self) -> Option<Arc<dyn StdError + Send + Sync>> {
        self.source
    }
}

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl fmt::Debug for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TransportError")
            .field("kind", &self.kind)
            .field("message", &self.message)
            .finish()
    }
}

impl StdError for TransportError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source
            .as_deref()
            .map(|source| source as &(dyn StdError + 'static))
    }
}

/// Sends one request to a server and returns the whole answer.
///
/// `send` blocks. The library calls it on its own threads, which have 512 KiB of
/// stack, or on the thread of a blocking caller; never inside a poll of a future.
/// An implementation sends the request once to the given URI, follows no redirect,
/// uses no proxy for the metadata server, requests no compression and keeps to
/// `limits`. The library does everything else, retries included. A request that
/// may take long can be interrupted: see
/// [`Interrupt`](crate::transport::Interrupt).
///
/// # Examples
/// A transport that only says where it was asked to go:
/// ```
/// use gce_auth::transport::{Limits, Transport, TransportError, TransportErrorKind};
///
/// #[derive(Debug)]
/// struct Offline;
///
/// impl Transport for Offline {
///     fn send(
///         &self,
///         request: http::Request<Vec<u8>>,
///         _limits: &Limits,
///     ) -> Result<http::Response<Vec<u8>>, TransportError> {
///         let host = request.uri().host().unwrap_or_default().to_owned();
///         Err(TransportError::new(
///             TransportErrorKind::Connect,
///             format!("offline, so {host} was not asked"),
///         ))
///     }
/// }
/// ```
pub trait Transport: Send + Sync + fmt::Debug {
    /// Sends `request` once and returns the whole answer, whatever its status.
    ///
    /// # Errors
    /// A [`TransportError`] if no whole answer arrives within `limits`.
    fn send(
        &self,
        request: Request<Vec<u8>>,
        limits: &Limits,
    ) -> Result<Response<Vec<u8>>, TransportError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_says_what_broke_and_what_is_behind_it() {
        let error = TransportError::new(TransportErrorKind::Closed, "the wire was cut");
        assert_eq!(error.to_string(), "the wire was cut");
        assert!(error.source().is_none());
        let error = error.with_source(std::io::Error::other("pliers"));
        let shown = format!("{error:?}");
        assert!(shown.contains("Closed") && shown.contains("the wire was cut"));
        assert_eq!(error.source().unwrap().to_string(), "pliers");
        assert_eq!(error.into_source().unwrap().to_string(), "pliers");
    }

    #[cfg(feature = "iam")]
    #[test]
    fn servers_that_may_be_far_have_longer_unless_a_time_was_set() {
        let seconds = Duration::from_secs;
        let far = Limits::new().of_apis();
        let times = (far.connect, far.first_byte, far.attempt);
        assert_eq!(times, (seconds(5), seconds(15), seconds(15)));
        let set = Limits {
            connect: seconds(1),
            first_byte: seconds(7),
            attempt: seconds(8),
            ..Limits::new()
        };
        let far = set.of_apis();
        let times = (far.connect, far.first_byte, far.attempt);
        assert_eq!(times, (seconds(1), seconds(7), seconds(8)));
    }
}
