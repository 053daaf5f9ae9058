//! Carries requests to the source, and counts how they end.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use gce_auth::transport::{HttpTransport, Limits, Transport, TransportError, TransportErrorKind};
use http::{Request, Response, header::LOCATION};

/// How many requests ended in which way.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    ok: AtomicU64,
    error: AtomicU64,
    timeout: AtomicU64,
    refused: AtomicU64,
}

impl Traffic {
    pub(crate) fn counts(&self) -> [(&'static str, u64); 4] {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        [
            ("ok", read(&self.ok)),
            ("error", read(&self.error)),
            ("timeout", read(&self.timeout)),
            ("refused", read(&self.refused)),
        ]
    }

    fn note<B>(&self, outcome: &Result<Response<B>, TransportError>) {
        let count = match outcome {
            // What the source refuses is its answer; what it fails at is not.
            Ok(answer) if answer.status().as_u16() < 500 && answer.status() != 429 => &self.ok,
            Ok(_) => &self.error,
            Err(error) => match error.kind() {
                TransportErrorKind::Timeout => &self.timeout,
                TransportErrorKind::Connect | TransportErrorKind::Resolve => &self.refused,
                _ => &self.error,
            },
        };
        count.fetch_add(1, Ordering::Relaxed);
    }
}

/// The library's own HTTP, counted.
pub(crate) struct CountedTransport {
    inner: HttpTransport,
    traffic: Arc<Traffic>,
    /// Whether the library may follow the slash that a server adds to a directory. Callers are to
    /// follow it themselves: a value and a directory are not allowed by the same.
    follows: bool,
}

impl CountedTransport {
    pub(crate) fn new(traffic: Arc<Traffic>, follows: bool) -> Self {
        Self {
            inner: HttpTransport::default(),
            traffic,
            follows,
        }
    }
}

impl fmt::Debug for CountedTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CountedTransport")
    }
}

impl Transport for CountedTransport {
    fn send(
        &self,
        request: Request<Vec<u8>>,
        limits: &Limits,
    ) -> Result<Response<Vec<u8>>, TransportError> {
        let mut outcome = self.inner.send(request, limits);
        self.traffic.note(&outcome);
        if let Ok(answer) = &mut outcome
            && !self.follows
        {
            answer.headers_mut().remove(LOCATION);
        }
        outcome
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_end_has_its_count() {
        let traffic = Traffic::default();
        let status = |code| Ok(Response::builder().status(code).body(()).unwrap());
        let failure = |kind| Err(TransportError::new(kind, "x"));
        for outcome in [
            status(200),
            status(404),
            status(499),
            status(500),
            status(503),
            status(429),
            failure(TransportErrorKind::Timeout),
            failure(TransportErrorKind::Connect),
            failure(TransportErrorKind::Closed),
        ] {
            traffic.note::<()>(&outcome);
        }
        let counts = [("ok", 3), ("error", 4), ("timeout", 1), ("refused", 1)];
        assert_eq!(traffic.counts(), counts);
    }
}
