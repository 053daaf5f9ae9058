//! What goes wrong on purpose.

use std::time::Duration;

use super::clock::Instant;
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
            Self::MissingFlavor => Disturbance::Flavor(None),
            Self::WrongFlavor(flavor) => Disturbance::Flavor(Some(flavor.clone())),
            Self::Reset => Disturbance::Reset,
            Self::Slow { bytes, pause } => Disturbance::Slow((*bytes).max(1), *pause),
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
    limit: Limit,
    fault: Fault,
}

/// For how long a fault happens.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Limit {
    /// For so many requests; `usize::MAX` means all.
    Times(usize),
    /// For all requests before this time.
    Until(Instant),
    /// For the requests beyond so many in each span of time that begins with the first of them.
    Beyond {
        allowed: usize,
        per: Duration,
        span: Option<(Instant, usize)>,
    },
    /// For a request with this probability, drawn from a sequence that depends on nothing but its seed.
    Chance { probability: f64, seed: u64 },
}

impl Limit {
    /// Whether this request is one of those.
    fn hits(&mut self, now: Instant) -> bool {
        match self {
            Self::Times(usize::MAX) => true,
            Self::Times(0) => false,
            Self::Times(times) => {
                *times -= 1;
                true
            }
            Self::Until(end) => now < *end,
            Self::Beyond { allowed, per, span } => {
                let (begin, count) = span
                    .filter(|(begin, _)| now < begin.plus(*per))
                    .unwrap_or((now, 0));
                *span = Some((begin, count.saturating_add(1)));
                count >= *allowed
            }
            Self::Chance { probability, seed } => draw(seed) < *probability,
        }
    }

    fn is_over(&self, now: Instant) -> bool {
        match self {
            Self::Times(times) => *times == 0,
            Self::Until(end) => now >= *end,
            Self::Beyond { .. } | Self::Chance { .. } => false,
        }
    }
}

/// The next number of a sequence, evenly from 0 to 1 (SplitMix64).
fn draw(state: &mut u64) -> f64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut bits = *state;
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^= bits >> 31;
    (bits >> 11) as f64 / (1_u64 << 53) as f64
}

impl Faults {
    pub(crate) fn add(&mut self, prefix: &str, limit: Limit, fault: Fault) {
        self.rules.push(Rule {
            prefix: full_path(prefix),
            limit,
            fault,
        });
    }

    pub(crate) fn clear(&mut self) {
        self.rules.clear();
    }

    /// The fault for this request: the oldest that fits it and is not over.
    pub(crate) fn next(&mut self, request: &Request, now: Instant) -> Option<Disturbance> {
        self.rules.retain(|rule| !rule.limit.is_over(now));
        self.rules
            .iter_mut()
            .filter(|rule| request.path.starts_with(&rule.prefix))
            .find_map(|rule| rule.limit.hits(now).then(|| rule.fault.disturbance()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::surface::Method;

    fn status(faults: &mut Faults, path: &str) -> Option<u16> {
        let request = Request {
            secure: false,
            local: true,
            method: Method::Get,
            path: path.into(),
            query: String::new(),
            headers: Vec::new(),
            body: Vec::new(),
        };
        match faults.next(&request, Instant::from_seconds(0))? {
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
        faults.add("instance/", Limit::Times(2), fault(503));
        faults.add("/", Limit::Times(usize::MAX), fault(500));
        faults.add("/", Limit::Times(0), fault(404));
        let path = "/computeMetadata/v1/instance/id";
        assert_eq!(status(&mut faults, path), Some(503));
        assert_eq!(status(&mut faults, "/"), Some(500));
        assert_eq!(status(&mut faults, path), Some(503));
        assert_eq!(status(&mut faults, path), Some(500));
        faults.clear();
        assert_eq!(status(&mut faults, path), None);
    }
    #[test]
    fn limits_know_the_time() {
        let at = Instant::from_seconds;
        let mut cold = Limit::Until(at(5));
        assert!(cold.hits(at(4)) && !cold.hits(at(5)) && cold.is_over(at(5)));

        let mut rate = Limit::Beyond {
            allowed: 2,
            per: Duration::from_secs(60),
            span: None,
        };
        let hits: Vec<bool> = [0, 1, 2, 59, 60, 61, 62, 500]
            .map(|second| rate.hits(at(second)))
            .into();
        assert_eq!(hits, [false, false, true, true, false, false, true, false]);
    }

    #[test]
    fn chance_is_fair_and_repeats_with_its_seed() {
        let run = |seed| {
            let mut limit = Limit::Chance {
                probability: 0.25,
                seed,
            };
            [(); 4000].map(|()| limit.hits(Instant::from_seconds(0)))
        };
        assert_eq!(run(7), run(7));
        assert_ne!(run(7), run(8));
        let hits = run(7).iter().filter(|hit| **hit).count();
        assert!((900..1100).contains(&hits), "{hits}");
        let mut never = Limit::Chance {
            probability: 0.0,
            seed: 1,
        };
        assert!(!never.hits(Instant::from_seconds(0)));
    }
}
