//! Why the source gave nothing, as far as a caller learns it.

use gce_auth::{Error, ErrorKind};
use gce_auth_server::protocol::{Reply, pages};

/// Why the source gave nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    /// The status that callers see.
    pub(crate) status: u16,
    /// In one line, without anything that the source sent.
    pub(crate) why: String,
    /// Whether the source says that this is a directory.
    pub(crate) is_directory: bool,
}

impl Failure {
    /// Reads an error of the library. A refusal of the source is passed on; everything else may
    /// pass by itself.
    pub(crate) fn of(error: &Error) -> Self {
        let status = match (error.kind(), error.status()) {
            (ErrorKind::NotFound, _) | (ErrorKind::Refused, Some(404)) => 404,
            (ErrorKind::Forbidden, _) | (ErrorKind::Refused, Some(403)) => 403,
            (_, Some(400)) => 400,
            _ => 503,
        };
        let request = error.request().unwrap_or("the source");
        let what = match (error.kind(), error.status()) {
            (ErrorKind::Timeout, _) => "it did not answer in time".to_owned(),
            // A refusal that the library has no kind for, such as 400, says enough by its status.
            (ErrorKind::InvalidResponse, None | Some(..400)) => {
                "its answer can't be used".to_owned()
            }
            (ErrorKind::NotMetadataServer, _) => "what answers is no metadata server".to_owned(),
            (_, Some(status)) => format!("it answered {status}"),
            _ => error.to_string(),
        };
        let what = if what.contains(request) {
            what
        } else {
            format!("{request}: {what}")
        };
        Self {
            status,
            why: format!("the source failed: {what}"),
            is_directory: matches!(error.status(), Some(301 | 302 | 307 | 308)),
        }
    }

    /// A failure of the agent's own.
    pub(crate) fn internal() -> Self {
        Self::unavailable("the agent is stopping, or has failed")
    }

    pub(crate) fn unavailable(why: &str) -> Self {
        Self {
            status: 503,
            why: why.to_owned(),
            is_directory: false,
        }
    }

    pub(crate) fn not_found(why: &str) -> Self {
        Self {
            status: 404,
            why: why.to_owned(),
            is_directory: false,
        }
    }

    /// A directory where a value was asked for.
    pub(crate) fn directory() -> Self {
        Self {
            status: 301,
            why: "it is a directory".to_owned(),
            is_directory: true,
        }
    }

    /// Returns the answer.
    pub(crate) fn reply(&self, path: &str) -> Reply {
        match self.status {
            404 => pages::not_found(path),
            503 => line(503, &self.why).with("Retry-After", "1"),
            status => line(status, &self.why),
        }
    }
}

/// An answer that is one line of text.
pub(crate) fn line(status: u16, why: &str) -> Reply {
    Reply::new(status, "text/plain; charset=utf-8", format!("{why}\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_pass_says_when_to_ask_again() {
        let again = line(503, "x").with("Retry-After", "1");
        assert_eq!(Failure::unavailable("x").reply("/p"), again);
        assert_eq!(Failure::not_found("x").reply("/p"), pages::not_found("/p"));
        let refused = Failure {
            status: 403,
            ..Failure::unavailable("x")
        };
        assert_eq!(refused.reply("/p"), line(403, "x"));
    }
}
