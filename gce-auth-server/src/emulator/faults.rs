//! What goes wrong on purpose.

use std::time::Duration;

use super::journal::full_path;
use crate::backend::Disturbance;
use crate::surface::{Reply, Request, pages};

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
    /// The answer is 200 with this body, `Metadata-Flavor` included: broken JSON, a captive portal, a token with odd bytes.
    Body {
        /// The `Content-Type` header.
        content_type: String,
        /// What is sent instead of the value.
        bytes: Vec<u8>,
    },
    /// The connection is closed after this many bytes of the body, fewer than the answer's `Content-Length` announced.
    Truncate(usize),
}

impl Fault {
    fn disturbance(&self) -> Disturbance {
        match self {
            Self::Status { code, retry_after } => {
                let mut reply = pages::status(*code);
                if let Some(seconds) = retry_after {
                    reply = reply.with("Retry-After", seconds.to_string());
                }
                Disturbance::Instead(reply)
            }
            Self::Close => Disturbance::Close,
            Self::Hang => Disturbance::Never,
            Self::Delay(delay) => Disturbance::Late(*delay),
            Self::MissingFlavor => Disturbance::Unflavored,
            Self::Body {
                content_type,
                bytes,
            } => Disturbance::Instead(Reply::new(200, content_type, bytes.clone())),
            Self::Truncate(bytes) => Disturbance::CutAfter(*bytes),
        }
    }
}

#[derive(Default)]
pub(crate) struct Faults {
    rules: Vec<Rule>,
}

struct Rule {
    prefix: String,
    remaining: usize,
    fault: Fault,
}

impl Faults {
    pub(crate) fn add(&mut self, prefix: &str, times: usize, fault: Fault) {
        if times > 0 {
            self.rules.push(Rule {
                prefix: full_path(prefix),
                remaining: times,
                fault,
            });
        }
    }

    pub(crate) fn clear(&mut self) {
        self.rules.clear();
    }

    /// The fault for this request: the oldest that fits it and is not used up.
    pub(crate) fn next(&mut self, request: &Request) -> Option<Disturbance> {
        let index = self
            .rules
            .iter()
            .position(|rule| request.path.starts_with(&rule.prefix))?;
        let rule = &mut self.rules[index];
        let disturbance = rule.fault.disturbance();
        if rule.remaining != usize::MAX {
            rule.remaining -= 1;
            if rule.remaining == 0 {
                self.rules.remove(index);
            }
        }
        Some(disturbance)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::surface::Method;

    fn status(faults: &mut Faults, path: &str) -> Option<u16> {
        let request = Request {
            secure: false,
            method: Method::Get,
            path: path.into(),
            query: String::new(),
            headers: Vec::new(),
            body: Vec::new(),
        };
        match faults.next(&request)? {
            Disturbance::Instead(reply) => Some(reply.status),
            _ => Some(0),
        }
    }

    #[test]
    fn faults_come_in_their_order_and_are_used_up() {
        let fault = |code| Fault::Status {
            code,
            retry_after: None,
        };
        let mut faults = Faults::default();
        faults.add("instance/", 2, fault(503));
        faults.add("/", usize::MAX, fault(500));
        faults.add("/", 0, fault(404));
        let path = "/computeMetadata/v1/instance/id";
        assert_eq!(status(&mut faults, path), Some(503));
        assert_eq!(status(&mut faults, "/"), Some(500));
        assert_eq!(status(&mut faults, path), Some(503));
        assert_eq!(status(&mut faults, path), Some(500));
        faults.clear();
        assert_eq!(status(&mut faults, path), None);
    }
}
