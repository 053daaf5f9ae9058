//! What all connections share.

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::sync::Semaphore;

use crate::{
    audit::Audit,
    caller::Lookup,
    clock::HttpDate,
    decisions::Decisions,
    metrics::{Metrics, RuleCounts},
    policy::{Fit, NO_RULE, Policy},
    rate::Limiter,
    source::Source,
    tokens::Tokens,
    values::Values,
};

/// So many callers' processes are searched for at once.
const SEARCHES: usize = 4;

/// The rules that are in force, with what belongs to each.
#[derive(Debug)]
pub(crate) struct Rules {
    /// Counts reloads, so that a connection knows when its rule has to be found again.
    pub(crate) generation: u64,
    pub(crate) policy: Policy,
    counts: Vec<(Arc<str>, Arc<RuleCounts>)>,
    none: (Arc<str>, Arc<RuleCounts>),
    pub(crate) limiter: Limiter,
}

impl Rules {
    fn new(generation: u64, policy: Policy, metrics: &Metrics) -> Self {
        let counted = |name: Arc<str>| (Arc::clone(&name), metrics.rule(&name));
        Self {
            generation,
            counts: policy.rule_names().into_iter().map(counted).collect(),
            none: counted(Arc::from(NO_RULE)),
            limiter: Limiter::default(),
            policy,
        }
    }

    /// Returns the name and the counts of the rule that decides; of none if no rule does.
    pub(crate) fn of(&self, fit: Option<Fit>) -> &(Arc<str>, Arc<RuleCounts>) {
        match fit {
            Some(Fit::Rule(at)) => self.counts.get(at).unwrap_or(&self.none),
            _ => &self.none,
        }
    }

    /// Returns all rules, with their counts, in their order.
    pub(crate) fn all(&self) -> impl Iterator<Item = &(Arc<str>, Arc<RuleCounts>)> {
        self.counts.iter().chain([&self.none])
    }
}

/// What all connections share.
pub(crate) struct State {
    rules: RwLock<Arc<Rules>>,
    pub(crate) config_file: Option<PathBuf>,
    pub(crate) source: Arc<Source>,
    pub(crate) tokens: Arc<Tokens>,
    pub(crate) values: Values,
    pub(crate) metrics: Metrics,
    pub(crate) audit: Option<Audit>,
    pub(crate) decisions: Decisions,
    pub(crate) date: HttpDate,
    /// For searches of `/proc`.
    pub(crate) searches: Semaphore,
    /// Where it listens, as the page and the ready line show it.
    pub(crate) listening: Mutex<Vec<String>>,
    unreadable: AtomicBool,
    log: Arc<dyn Fn(&str) + Send + Sync>,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").finish_non_exhaustive()
    }
}

/// What a state is made of.
pub(crate) struct Parts {
    pub(crate) policy: Policy,
    pub(crate) config_file: Option<PathBuf>,
    pub(crate) source: Source,
    pub(crate) no_cache: bool,
    pub(crate) audit: Option<Audit>,
    pub(crate) log: Arc<dyn Fn(&str) + Send + Sync>,
}

impl State {
    pub(crate) fn new(parts: Parts) -> Self {
        let source = Arc::new(parts.source);
        let metrics = Metrics::default();
        Self {
            rules: RwLock::new(Arc::new(Rules::new(0, parts.policy, &metrics))),
            config_file: parts.config_file,
            tokens: Arc::new(Tokens::new(Arc::clone(&source), parts.no_cache)),
            values: Values::new(Arc::clone(&source)),
            source,
            metrics,
            audit: parts.audit,
            decisions: Decisions::default(),
            date: HttpDate::default(),
            searches: Semaphore::new(SEARCHES),
            listening: Mutex::default(),
            unreadable: AtomicBool::new(false),
            log: parts.log,
        }
    }

    /// Returns the rules in force.
    pub(crate) fn rules(&self) -> Arc<Rules> {
        Arc::clone(&self.rules.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts other rules in force, for the next request of each connection.
    pub(crate) fn exchange_rules(&self, policy: Policy) {
        let mut rules = self.rules.write().unwrap_or_else(PoisonError::into_inner);
        let generation = rules.generation + 1;
        *rules = Arc::new(Rules::new(generation, policy, &self.metrics));
    }

    /// Returns what is to be looked up of the callers of new connections.
    pub(crate) fn lookup(&self) -> Lookup {
        self.rules().policy.lookup()
    }

    /// Returns the addresses of the TCP listeners, but for those that stand for all.
    pub(crate) fn own_addresses(&self) -> Vec<IpAddr> {
        let listening = self.listening.lock();
        let listening = listening.unwrap_or_else(PoisonError::into_inner);
        let addresses = listening.iter().filter_map(|place| place.parse().ok());
        let addresses = addresses.map(|place: SocketAddr| place.ip().to_canonical());
        addresses.filter(|own| !own.is_unspecified()).collect()
    }

    /// Says something to the operator.
    pub(crate) fn log(&self, text: &str) {
        (self.log)(text);
    }

    /// Notes a caller that can't be looked up whole; reports the first one.
    pub(crate) fn unreadable(&self) {
        if !self.unreadable.swap(true, Ordering::Relaxed) {
            self.log(
                "cannot read the exe or cgroup of other users' processes for want of a privilege \
                 (CAP_SYS_PTRACE); rules that allow by them do not match",
            );
        }
    }
}
