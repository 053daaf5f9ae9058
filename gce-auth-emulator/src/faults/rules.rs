//! Which requests go wrong: by path, by client, and so often, so long, beyond a rate, or by chance.

use std::time::Duration;

use gce_auth_server::{protocol::Request, service::FaultAction};

use crate::{client::ClientName, clock::Instant, faults::fault::Fault, journal::full_path};

/// How many rules there can be at once, and how many bytes of text in them; the oldest makes room.
const KEPT: usize = 1000;
const BYTES: usize = 256 * 1024;

/// A fault, and the requests that it hits.
///
/// By default these are all. [`times`](Self::times), [`lasting`](Self::lasting),
/// [`beyond`](Self::beyond) and [`chance`](Self::chance) exclude each other: the last one called
/// counts.
///
/// ```
/// use std::time::Duration;
///
/// use gce_auth_emulator::{Emulator, Fault, FaultRule};
///
/// let busy = Fault::Status { code: 429, retry_after: Some(6) };
/// let emulator = Emulator::builder()
///     .fault(FaultRule::new(busy).path("instance/guest-attributes/").beyond(10, Duration::from_secs(60)))
///     .start()?;
/// let id = emulator.add_fault(FaultRule::new(Fault::Hang).client("gl-python").times(1));
/// assert!(emulator.remove_fault(id));
/// # Ok::<(), gce_auth_emulator::StartError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[must_use]
pub struct FaultRule {
    method: Option<String>,
    path: String,
    client: Option<String>,
    when: When,
    fault: Fault,
}

impl FaultRule {
    /// Returns a fault for every request.
    pub fn new(fault: Fault) -> Self {
        Self {
            method: None,
            path: "/".into(),
            client: None,
            when: When::Always,
            fault,
        }
    }

    /// Hits only requests whose path begins so: from the root if `prefix` begins with a slash, else
    /// below `/computeMetadata/v1/`.
    pub fn path(mut self, prefix: impl AsRef<str>) -> Self {
        self.path = full_path(prefix.as_ref());
        self
    }

    /// Hits only requests of this method, as it is written: `POST` for tokens that are bound to
    /// certificates.
    pub fn method(mut self, method: impl Into<String>) -> Self {
        self.method = Some(method.into());
        self
    }

    /// Hits only clients in whose `User-Agent` or `x-goog-api-client` header this stands, in any
    /// case.
    pub fn client(mut self, part: impl AsRef<str>) -> Self {
        self.client = Some(part.as_ref().to_lowercase());
        self
    }

    /// Hits only so many times.
    pub fn times(mut self, times: usize) -> Self {
        self.when = When::Times(times);
        self
    }

    /// Hits only until this much time has passed on the emulator's clock.
    pub fn lasting(mut self, time: Duration) -> Self {
        self.when = When::For(time);
        self
    }

    /// Hits only requests beyond `allowed` in each span of time: a rate limit.
    pub fn beyond(mut self, allowed: usize, per: Duration) -> Self {
        self.when = When::Beyond { allowed, per };
        self
    }

    /// Hits only with this probability, from 0 to 1. The same seed hits the same requests of a
    /// sequence.
    pub fn chance(mut self, probability: f64, seed: u64) -> Self {
        self.when = When::Chance { probability, seed };
        self
    }

    pub(crate) fn only_method(&self) -> Option<&str> {
        self.method.as_deref()
    }

    pub(crate) fn parts(&self) -> (&str, Option<&str>, When, &Fault) {
        (&self.path, self.client.as_deref(), self.when, &self.fault)
    }

    /// The length of its texts.
    fn length(&self) -> usize {
        let other = [&self.method, &self.client].map(|text| text.as_ref().map_or(0, String::len));
        self.path.len() + other.iter().sum::<usize>() + self.fault.text_length()
    }

    fn fits(&self, request: &Request, client: &ClientName) -> bool {
        self.method
            .as_deref()
            .is_none_or(|method| method == request.method.as_str())
            && request.path.starts_with(&self.path)
            && self
                .client
                .as_ref()
                .is_none_or(|part| client.contains(part))
    }
}

/// For how long a rule holds, counted from when it begins.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum When {
    Always,
    Times(usize),
    For(Duration),
    Beyond { allowed: usize, per: Duration },
    Chance { probability: f64, seed: u64 },
}

impl When {
    fn begin(self, now: Instant) -> Limit {
        match self {
            Self::Always => Limit::Times(usize::MAX),
            Self::Times(times) => Limit::Times(times),
            Self::For(time) => Limit::Until(now.plus(time)),
            Self::Beyond { allowed, per } => Limit::Beyond {
                allowed,
                per,
                span: None,
            },
            Self::Chance { probability, seed } => Limit::Chance { probability, seed },
        }
    }
}

/// How far a rule has come.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Limit {
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
    /// For a request with this probability, drawn from a sequence that depends on nothing but its
    /// seed.
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

/// The rules that hold now, the oldest first.
#[derive(Default)]
pub(crate) struct Rules {
    active: Vec<Active>,
    last_id: u64,
}

pub(crate) struct Active {
    pub(crate) id: u64,
    pub(crate) rule: FaultRule,
    /// How many requests it has hit.
    pub(crate) hits: u64,
    limit: Limit,
}

impl Rules {
    /// Begins a rule; gives its number.
    pub(crate) fn add(&mut self, rule: FaultRule, now: Instant) -> u64 {
        self.active.retain(|active| !active.limit.is_over(now));
        let length = |active: &Active| active.rule.length();
        let mut bytes = self.active.iter().map(length).sum::<usize>() + rule.length();
        while !self.active.is_empty() && (self.active.len() >= KEPT || bytes > BYTES) {
            bytes -= self.active.remove(0).rule.length();
        }
        self.last_id += 1;
        self.active.push(Active {
            id: self.last_id,
            limit: rule.when.begin(now),
            hits: 0,
            rule,
        });
        self.last_id
    }

    /// Ends a rule; false if no rule has this number.
    pub(crate) fn remove(&mut self, id: u64) -> bool {
        let before = self.active.len();
        self.active.retain(|active| active.id != id);
        self.active.len() < before
    }

    pub(crate) fn clear(&mut self) {
        self.active.clear();
    }

    /// The rules that are not over.
    pub(crate) fn all(&self, now: Instant) -> impl Iterator<Item = &Active> {
        self.active
            .iter()
            .filter(move |active| !active.limit.is_over(now))
    }

    /// The fault for this request, if there is one, with its number and name: that of the oldest
    /// rule that fits and is not over.
    pub(crate) fn next(
        &mut self,
        request: &Request,
        now: impl FnOnce() -> Instant,
    ) -> Option<(FaultAction, (u64, String))> {
        if self.active.is_empty() {
            return None;
        }
        let now = now();
        self.active.retain(|active| !active.limit.is_over(now));
        let client = ClientName::of(request);
        let hit = self
            .active
            .iter_mut()
            .filter(|active| active.rule.fits(request, &client))
            .find_map(|active| active.limit.hits(now).then_some(active))?;
        hit.hits += 1;
        let fault = &hit.rule.fault;
        Some((fault.action(), (hit.id, fault.to_string())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(rules: &mut Rules, path: &str, client: &str) -> Option<u16> {
        let request = Request {
            path: path.into(),
            headers: [("user-agent", client)].into_iter().collect(),
            ..Request::default()
        };
        match rules.next(&request, || Instant::from_seconds(0))? {
            (FaultAction::Instead(reply), _) => Some(reply.status),
            _ => Some(0),
        }
    }

    fn status(code: u16) -> FaultRule {
        FaultRule::new(Fault::Status {
            code,
            retry_after: None,
        })
    }

    const NOW: fn() -> Instant = || Instant::from_seconds(0);

    #[test]
    fn rules_come_in_their_order_and_are_used_up() {
        let mut rules = Rules::default();
        rules.add(status(503).path("instance/").times(2), NOW());
        let all = rules.add(status(500), NOW());
        rules.add(status(404).times(0), NOW());
        let path = "/computeMetadata/v1/instance/id";
        assert_eq!(ask(&mut rules, path, ""), Some(503));
        assert_eq!(ask(&mut rules, "/", ""), Some(500));
        assert_eq!(ask(&mut rules, path, ""), Some(503));
        assert_eq!(ask(&mut rules, path, ""), Some(500));
        let left: Vec<_> = rules.all(NOW()).map(|rule| (rule.id, rule.hits)).collect();
        assert_eq!(left, [(all, 2)]);
        assert!(rules.remove(all) && !rules.remove(all));
        assert_eq!(ask(&mut rules, path, ""), None);
    }

    #[test]
    fn a_client_is_known_by_a_part_of_its_name() {
        let mut rules = Rules::default();
        rules.add(status(503).client("GL-python"), NOW());
        assert_eq!(ask(&mut rules, "/", "x gl-Python/3.12"), Some(503));
        assert_eq!(ask(&mut rules, "/", "gcloud-golang/0.1"), None);
    }

    #[test]
    fn rules_are_bounded() {
        let mut rules = Rules::default();
        for _ in 0..KEPT + 3 {
            rules.add(status(503), NOW());
        }
        assert_eq!(rules.all(NOW()).count(), KEPT);
    }

    #[test]
    fn the_texts_of_rules_are_bounded() {
        let mut rules = Rules::default();
        let long = FaultRule::new(Fault::Body {
            content_type: "text/plain".into(),
            bytes: vec![b'x'; BYTES / 3],
        });
        for _ in 0..10 {
            rules.add(long.clone(), NOW());
        }
        let ids: Vec<u64> = rules.all(NOW()).map(|active| active.id).collect();
        assert_eq!(ids, [9, 10]);
    }

    #[test]
    fn limits_know_the_time() {
        let at = Instant::from_seconds;
        let mut cold = When::For(Duration::from_secs(5)).begin(at(0));
        assert!(cold.hits(at(4)) && !cold.hits(at(5)) && cold.is_over(at(5)));

        let mut rate = When::Beyond {
            allowed: 2,
            per: Duration::from_secs(60),
        }
        .begin(at(0));
        let hits: Vec<bool> = [0, 1, 2, 59, 60, 61, 62, 500]
            .map(|second| rate.hits(at(second)))
            .into();
        assert_eq!(hits, [false, false, true, true, false, false, true, false]);
    }

    #[test]
    fn chance_is_fair_and_repeats_with_its_seed() {
        let run = |seed| {
            let mut limit = When::Chance {
                probability: 0.25,
                seed,
            }
            .begin(NOW());
            [(); 4000].map(|()| limit.hits(NOW()))
        };
        assert_eq!(run(7), run(7));
        assert_ne!(run(7), run(8));
        let hits = run(7).iter().filter(|hit| **hit).count();
        assert!((900..1100).contains(&hits), "{hits}");
        let mut never = Limit::Chance {
            probability: 0.0,
            seed: 1,
        };
        assert!(!never.hits(NOW()));
    }
}
