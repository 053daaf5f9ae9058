//! What goes wrong on purpose.

use std::{fmt, time::Duration};

use gce_auth_server::{
    protocol::{Reply, pages},
    service::FaultAction,
};

/// Something that goes wrong with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// The answer is an error page with this status code.
    Status {
        /// For example 429, 500 or 503.
        code: u16,
        /// Whole seconds for a `Retry-After` header.
        retry_after: Option<u64>,
    },
    /// The connection is closed without an answer.
    Close,
    /// The request is never answered; the connection stays open.
    Hang,
    /// The answer comes this much later.
    Delay(Duration),
    /// The answer is right, but has no `Metadata-Flavor` header, as from an impostor.
    MissingFlavor,
    /// The answer is right, but has this in its `Metadata-Flavor` header.
    WrongFlavor(String),
    /// The connection is reset without an answer (over TCP; elsewhere it is closed).
    Reset,
    /// The body comes slowly: in pieces of at most so many bytes, with a pause before each.
    Slow {
        /// The length of a piece, at least 1.
        bytes: usize,
        /// The pause before each piece.
        pause: Duration,
    },
    /// The answer is 200 with this body, `Metadata-Flavor` included: broken JSON, a captive portal,
    /// a token with odd bytes.
    Body {
        /// The `Content-Type` header.
        content_type: String,
        /// What is sent instead of the value.
        bytes: Vec<u8>,
    },
    /// The connection is closed after this many bytes of the body, fewer than the answer's
    /// `Content-Length` announced.
    Truncate(usize),
}

impl Fault {
    /// The length of the texts in it.
    pub(crate) fn text_length(&self) -> usize {
        match self {
            Self::Body {
                content_type,
                bytes,
            } => content_type.len() + bytes.len(),
            _ => 0,
        }
    }

    pub(crate) fn action(&self) -> FaultAction {
        match self {
            Self::Status { code, retry_after } => {
                let mut reply = pages::status(*code);
                if let Some(seconds) = retry_after {
                    reply = reply.with("Retry-After", seconds.to_string());
                }
                FaultAction::Instead(reply)
            }
            Self::Close => FaultAction::Close,
            Self::Hang => FaultAction::Never,
            Self::Delay(delay) => FaultAction::Late(*delay),
            Self::MissingFlavor => FaultAction::Flavor(None),
            Self::WrongFlavor(flavor) => FaultAction::Flavor(Some(flavor.clone())),
            Self::Reset => FaultAction::Reset,
            Self::Slow { bytes, pause } => FaultAction::Slow((*bytes).max(1), *pause),
            Self::Body {
                content_type,
                bytes,
            } => FaultAction::Instead(Reply::new(200, content_type.clone(), bytes.clone())),
            Self::Truncate(bytes) => FaultAction::CutAfter(*bytes),
        }
    }
}

/// In a few words: `503, Retry-After 1`, `hangs`, `cut after 5 bytes`.
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status {
                code,
                retry_after: None,
            } => write!(f, "{code}"),
            Self::Status {
                code,
                retry_after: Some(seconds),
            } => write!(f, "{code}, Retry-After {seconds}"),
            Self::Close => f.write_str("closed"),
            Self::Hang => f.write_str("hangs"),
            Self::Delay(delay) => write!(f, "{} ms late", delay.as_millis()),
            Self::MissingFlavor => f.write_str("no flavor"),
            Self::WrongFlavor(_) => f.write_str("wrong flavor"),
            Self::Reset => f.write_str("reset"),
            Self::Slow { bytes, pause } => {
                write!(f, "{bytes} bytes every {} ms", pause.as_millis())
            }
            Self::Body { .. } => f.write_str("other body"),
            Self::Truncate(bytes) => write!(f, "cut after {bytes} bytes"),
        }
    }
}
