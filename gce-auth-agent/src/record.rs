//! A request from its head to its answer: counted, audited and shown, once, however it ends.

use std::sync::Arc;

use gce_auth_server::protocol::reply::Reply;

use crate::{
    audit::{AuditCaller, Line},
    clock::{self, Started},
    connection::Caller,
    decisions::Decided,
    metrics::{Cache, Kind, Outcome},
    policy::Fit,
    state::{Rules, State},
};

/// The status that is noted for a client that left before its answer.
const GONE: u16 = 499;

/// What a request wants of an account.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    pub(crate) account: Option<Arc<str>>,
    pub(crate) scopes: Option<Vec<String>>,
    pub(crate) audience: Option<String>,
}

/// A request under way. Dropped without an answer, it is noted as one whose client left.
#[derive(Debug)]
pub(crate) struct Record<'a> {
    state: &'a State,
    caller: &'a Caller,
    rules: Arc<Rules>,
    began: Started,
    path: String,
    kind: Kind,
    pub(crate) fit: Option<Fit>,
    pub(crate) asked: Asked,
    pub(crate) cache: Cache,
    pub(crate) lifetime: Option<u64>,
    pub(crate) why: Option<String>,
    ended: bool,
}

impl<'a> Record<'a> {
    pub(crate) fn new(state: &'a State, caller: &'a Caller, path: &str) -> Self {
        Self {
            state,
            caller,
            rules: state.rules(),
            began: Started::now(),
            path: path.to_owned(),
            kind: Kind::of(path),
            fit: None,
            asked: Asked::default(),
            cache: Cache::None,
            lifetime: None,
            why: None,
            ended: false,
        }
    }

    pub(crate) fn state(&self) -> &'a State {
        self.state
    }

    /// Returns the rules that decide about this request.
    pub(crate) fn rules(&self) -> &Arc<Rules> {
        &self.rules
    }

    /// Returns the path as it was sent.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// Ends with an answer.
    pub(crate) fn end(mut self, reply: Reply) -> Reply {
        self.note(reply.status);
        reply
    }

    fn note(&mut self, status: u16) {
        self.ended = true;
        let took = self.began.elapsed();
        let (rule, counts) = self.rules.of(self.fit);
        let outcome = Outcome::of(status);
        let metrics = &self.state.metrics;
        metrics.count(counts, (self.kind, outcome, self.cache), took);
        let at = clock::now().wall;
        let caller = self.caller.found();
        if let Some(audit) = &self.state.audit {
            let line = Line {
                time: clock::rfc3339(at),
                caller: AuditCaller(&caller),
                rule,
                // 400 and 405 are of requests that the agent itself does not take.
                decision: match (outcome, status) {
                    (Outcome::Denied | Outcome::Limited, _) | (_, 400 | 405) => "denied",
                    _ => "ok",
                },
                kind: self.kind.name(),
                path: &self.path,
                account: self.asked.account.as_deref(),
                scopes: self.asked.scopes.as_deref(),
                audience: self.asked.audience.as_deref(),
                lifetime_s: self.lifetime,
                cache: self.cache.name(),
                status,
                micros: u64::try_from(took.as_micros()).unwrap_or(u64::MAX).max(1),
            };
            audit.add(&line);
        }
        self.state.decisions.add(Decided {
            at,
            caller,
            rule: Arc::clone(rule),
            kind: self.kind,
            path: std::mem::take(&mut self.path),
            status,
            cache: self.cache,
            why: self.why.take(),
        });
    }
}

impl Drop for Record<'_> {
    fn drop(&mut self) {
        if !self.ended {
            self.note(GONE);
        }
    }
}
