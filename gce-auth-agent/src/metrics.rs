//! What is counted, as Prometheus reads it. No label is taken from a request: each series is made
//! of names that the configuration or this file has.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use crate::source::traffic::Traffic;

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Token,
    Identity,
    Metadata,
    Other,
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Ok,
    Denied,
    Limited,
    Unavailable,
    Bad,
}

/// Whether a token was in hand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Cache {
    Hit,
    Miss,
    #[default]
    None,
}

const KINDS: [Kind; 4] = [Kind::Token, Kind::Identity, Kind::Metadata, Kind::Other];
const OUTCOMES: [Outcome; 5] = [
    Outcome::Ok,
    Outcome::Denied,
    Outcome::Limited,
    Outcome::Unavailable,
    Outcome::Bad,
];
const CACHES: [Cache; 3] = [Cache::Hit, Cache::Miss, Cache::None];

impl Kind {
    /// Returns the kind of a path, whatever becomes of it.
    pub(crate) fn of(path: &str) -> Self {
        let Some(place) = path.strip_prefix(crate::policy::request::PREFIX) else {
            return Self::Other;
        };
        let mut steps = place.split('/');
        match (steps.next(), steps.next(), steps.next(), steps.next()) {
            (Some("instance"), Some("service-accounts"), Some(_), Some("token")) => Self::Token,
            (Some("instance"), Some("service-accounts"), Some(_), Some("identity")) => {
                Self::Identity
            }
            _ => Self::Metadata,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Identity => "identity",
            Self::Metadata => "metadata",
            Self::Other => "other",
        }
    }
}

impl Outcome {
    pub(crate) fn of(status: u16) -> Self {
        match status {
            200..400 => Self::Ok,
            403 => Self::Denied,
            429 => Self::Limited,
            500.. => Self::Unavailable,
            _ => Self::Bad,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Denied => "denied",
            Self::Limited => "limited",
            Self::Unavailable => "unavailable",
            Self::Bad => "bad",
        }
    }
}

impl Cache {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Miss => "miss",
            Self::None => "none",
        }
    }
}

/// The requests of one rule.
#[derive(Debug, Default)]
pub(crate) struct RuleCounts([[AtomicU64; OUTCOMES.len()]; KINDS.len()]);

impl RuleCounts {
    /// Returns how many requests ended so.
    pub(crate) fn of(&self, outcome: Outcome) -> u64 {
        let all = self.0.iter().map(|kind| &kind[outcome as usize]);
        all.map(|count| count.load(Ordering::Relaxed)).sum()
    }
}

/// Upper ends of the classes of times, in microseconds.
const BUCKETS: [u64; 14] = [
    50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 50_000, 100_000, 500_000, 1_000_000, 5_000_000,
    10_000_000,
];

#[derive(Debug, Default)]
struct Histogram {
    counts: [AtomicU64; BUCKETS.len()],
    count: AtomicU64,
    micros: AtomicU64,
}

impl Histogram {
    fn add(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        if let Some(at) = BUCKETS.iter().position(|end| micros <= *end) {
            self.counts[at].fetch_add(1, Ordering::Relaxed);
        }
        self.micros.fetch_add(micros, Ordering::Relaxed);
        self.count.fetch_add(1, Ordering::Relaxed);
    }
}

/// A number that goes up and down; counts as long as its guard lives.
#[derive(Debug, Default)]
pub(crate) struct Gauge(AtomicI64);

impl Gauge {
    pub(crate) fn enter(self: &Arc<Self>) -> Entered {
        self.0.fetch_add(1, Ordering::Relaxed);
        Entered(Arc::clone(self))
    }

    fn get(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// One more, as long as it lives.
#[derive(Debug)]
pub(crate) struct Entered(Arc<Gauge>);

impl Drop for Entered {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// All that is counted.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    /// By rule; those of rules that are gone stay, as a counter never goes back.
    rules: Mutex<BTreeMap<Arc<str>, Arc<RuleCounts>>>,
    seconds: [[Histogram; CACHES.len()]; KINDS.len()],
    pub(crate) connections: Arc<Gauge>,
    pub(crate) waiters: Arc<Gauge>,
}

/// What is only known when it is asked for.
#[derive(Debug, Default)]
pub(crate) struct Readings {
    pub(crate) access_tokens: usize,
    pub(crate) identity_tokens: usize,
    /// What is left of the tokens of accounts that the configuration names.
    pub(crate) expiries: Vec<(Arc<str>, Duration)>,
    /// Lines of the audit.
    pub(crate) audit_lost: u64,
}

impl Metrics {
    /// Returns the counts of a rule.
    pub(crate) fn rule(&self, name: &Arc<str>) -> Arc<RuleCounts> {
        let mut rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(rules.entry(Arc::clone(name)).or_default())
    }

    pub(crate) fn count(
        &self,
        rule: &RuleCounts,
        (kind, outcome, cache): (Kind, Outcome, Cache),
        took: Duration,
    ) {
        rule.0[kind as usize][outcome as usize].fetch_add(1, Ordering::Relaxed);
        self.seconds[kind as usize][cache as usize].add(took);
    }

    /// Writes everything in the text format of Prometheus.
    pub(crate) fn text(&self, traffic: &Traffic, readings: &Readings) -> String {
        let mut out = String::with_capacity(16 * 1024);
        self.write(&mut out, traffic, readings)
            .unwrap_or_else(|_| out.clear());
        out
    }

    fn write(
        &self,
        out: &mut String,
        traffic: &Traffic,
        readings: &Readings,
    ) -> Result<(), std::fmt::Error> {
        head(
            out,
            "requests_total",
            "counter",
            "Requests, by what they are for, how they ended, and the rule that decided.",
        )?;
        {
            let rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
            for (rule, counts) in rules.iter() {
                for (kind, outcomes) in KINDS.iter().zip(&counts.0) {
                    for (outcome, count) in OUTCOMES.iter().zip(outcomes) {
                        let count = count.load(Ordering::Relaxed);
                        if count > 0 {
                            let (kind, result) = (kind.name(), outcome.name());
                            let rule = escaped(rule);
                            writeln!(
                                out,
                                "{PREFIX}requests_total{{kind=\"{kind}\",result=\"{result}\",rule=\"{rule}\"}} {count}"
                            )?;
                        }
                    }
                }
            }
        }
        head(
            out,
            "request_seconds",
            "histogram",
            "Time from the head of a request to its answer.",
        )?;
        for (kind, caches) in KINDS.iter().zip(&self.seconds) {
            for (cache, histogram) in CACHES.iter().zip(caches) {
                let tokens = matches!(kind, Kind::Token | Kind::Identity);
                if tokens || *cache == Cache::None {
                    histogram.write(out, kind.name(), cache.name())?;
                }
            }
        }
        head(
            out,
            "upstream_requests_total",
            "counter",
            "Requests to the source, and to the APIs that make tokens of its tokens.",
        )?;
        for (result, count) in traffic.counts() {
            writeln!(
                out,
                "{PREFIX}upstream_requests_total{{result=\"{result}\"}} {count}"
            )?;
        }
        head(out, "connections", "gauge", "Open connections of callers.")?;
        writeln!(out, "{PREFIX}connections {}", self.connections.get())?;
        head(out, "waiters", "gauge", "Callers that wait for a change.")?;
        writeln!(out, "{PREFIX}waiters {}", self.waiters.get())?;
        head(out, "tokens", "gauge", "Tokens in hand.")?;
        writeln!(
            out,
            "{PREFIX}tokens{{kind=\"access\"}} {}",
            readings.access_tokens
        )?;
        writeln!(
            out,
            "{PREFIX}tokens{{kind=\"identity\"}} {}",
            readings.identity_tokens
        )?;
        head(
            out,
            "token_expiry_seconds",
            "gauge",
            "What is left of an account's token.",
        )?;
        for (account, left) in &readings.expiries {
            let account = escaped(account);
            let left = left.as_secs_f64();
            writeln!(
                out,
                "{PREFIX}token_expiry_seconds{{account=\"{account}\"}} {left:.3}"
            )?;
        }
        head(
            out,
            "audit_lost_total",
            "counter",
            "Lines of the audit that could not be written.",
        )?;
        writeln!(out, "{PREFIX}audit_lost_total {}", readings.audit_lost)?;
        head(out, "build_info", "gauge", "The version.")?;
        let version = env!("CARGO_PKG_VERSION");
        writeln!(out, "{PREFIX}build_info{{version=\"{version}\"}} 1")
    }
}

const PREFIX: &str = "gce_auth_agent_";

impl Histogram {
    fn write(&self, out: &mut String, kind: &str, cache: &str) -> Result<(), std::fmt::Error> {
        let labels = format!("kind=\"{kind}\",cache=\"{cache}\"");
        let mut sum = 0;
        for (end, count) in BUCKETS.iter().zip(&self.counts) {
            sum += count.load(Ordering::Relaxed);
            let end = Duration::from_micros(*end).as_secs_f64();
            writeln!(
                out,
                "{PREFIX}request_seconds_bucket{{{labels},le=\"{end}\"}} {sum}"
            )?;
        }
        let count = self.count.load(Ordering::Relaxed).max(sum);
        writeln!(
            out,
            "{PREFIX}request_seconds_bucket{{{labels},le=\"+Inf\"}} {count}"
        )?;
        let seconds = Duration::from_micros(self.micros.load(Ordering::Relaxed)).as_secs_f64();
        writeln!(out, "{PREFIX}request_seconds_sum{{{labels}}} {seconds}")?;
        writeln!(out, "{PREFIX}request_seconds_count{{{labels}}} {count}")
    }
}

fn head(out: &mut String, name: &str, kind: &str, help: &str) -> Result<(), std::fmt::Error> {
    writeln!(
        out,
        "# HELP {PREFIX}{name} {help}\n# TYPE {PREFIX}{name} {kind}"
    )
}

/// The value of a label, which stands between quotes.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_request_counts_once_and_in_one_class_of_time() {
        let metrics = Metrics::default();
        let rule = metrics.rule(&Arc::from("we\"b"));
        let hit = (Kind::Token, Outcome::Ok, Cache::Hit);
        metrics.count(&rule, hit, Duration::from_micros(60));
        metrics.count(&rule, hit, Duration::from_secs(100));
        let readings = Readings {
            expiries: vec![(Arc::from("default"), Duration::from_millis(1500))],
            ..Readings::default()
        };
        let text = metrics.text(&Traffic::default(), &readings);
        for line in [
            "gce_auth_agent_requests_total{kind=\"token\",result=\"ok\",rule=\"we\\\"b\"} 2",
            "gce_auth_agent_request_seconds_bucket{kind=\"token\",cache=\"hit\",le=\"0.00005\"} 0",
            "gce_auth_agent_request_seconds_bucket{kind=\"token\",cache=\"hit\",le=\"0.0001\"} 1",
            "gce_auth_agent_request_seconds_bucket{kind=\"token\",cache=\"hit\",le=\"10\"} 1",
            "gce_auth_agent_request_seconds_bucket{kind=\"token\",cache=\"hit\",le=\"+Inf\"} 2",
            "gce_auth_agent_request_seconds_count{kind=\"token\",cache=\"hit\"} 2",
            "gce_auth_agent_token_expiry_seconds{account=\"default\"} 1.500",
            "# TYPE gce_auth_agent_connections gauge",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
        assert_eq!(rule.of(Outcome::Ok), 2);
    }

    #[test]
    fn a_guard_counts_as_long_as_it_lives() {
        let metrics = Metrics::default();
        let one = metrics.waiters.enter();
        let two = metrics.waiters.enter();
        drop(one);
        assert_eq!(metrics.waiters.get(), 1);
        drop(two);
        assert_eq!(metrics.waiters.get(), 0);
    }

    #[test]
    fn a_path_has_its_kind_whatever_becomes_of_it() {
        let kind = |rest: &str| Kind::of(&format!("/computeMetadata/v1/{rest}"));
        assert_eq!(kind("instance/service-accounts/a@b/token"), Kind::Token);
        assert_eq!(kind("instance/service-accounts/x/identity"), Kind::Identity);
        assert_eq!(kind("instance/service-accounts/x/email"), Kind::Metadata);
        assert_eq!(Kind::of("/"), Kind::Other);
    }
}
