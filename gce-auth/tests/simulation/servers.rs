//! Two metadata servers, IAM, token endpoints and a server of keys: what they
//! are asked, and the truth about it.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use gce_auth::transport::{Limits, Transport, TransportError, TransportErrorKind};
use http::{Request, Response};

use crate::{
    accounts::Accounts,
    answers::{is_slot, lifetime, narrowed},
    brief::Held,
    stage::Stage,
};

pub(crate) const METADATA: [&str; 2] = ["metadata-a", "metadata-b"];
pub(crate) const IAM: &str = "iam";
pub(crate) const KEYS: &str = "keys";
pub(crate) const OAUTH: &str = "oauth";
pub(crate) const STS: &str = "sts";
/// The server that knows an external account.
pub(crate) const SUBJECT: &str = "subject";
pub(crate) const SERVERS: [&str; 7] = [METADATA[0], METADATA[1], IAM, KEYS, OAUTH, STS, SUBJECT];
/// A class of equal settings shows in this limit, which nothing here reaches.
pub(crate) const FIRST_CLASS: usize = 100;

/// A refresh that began before a rejection may go on for so long: it asks
/// several servers in a row for some tokens.
pub(crate) fn longest(path: &str) -> Duration {
    Duration::from_secs(match path {
        _ if path.contains("/grant-") => 160,
        _ if METADATA.iter().any(|server| path.starts_with(server)) => 40,
        _ => 75,
    })
}

/// Where a metadata server has access tokens of the default account.
const ACCESS: &str = "/default/token";
/// No token is renewed earlier than this before it expires.
const STALE: Duration = Duration::from_secs(227);
/// Callers with equal settings share a failure for so long.
const QUIET: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Health {
    Well,
    Status(u16),
    Hangs,
    Refuses,
    Garbage,
}

impl Health {
    /// Whether an answer of it is repeated by no policy.
    fn is_final(self) -> bool {
        matches!(self, Self::Status(403 | 404) | Self::Garbage)
    }
}

#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) health: Health,
    /// Since when it has been well; the end of time where it is not.
    well_since: Duration,
    pub(crate) lifetime: Duration,
    /// The token of each path, as the server keeps it.
    pub(crate) tokens: HashMap<String, (String, Duration)>,
}

/// What is known of a token.
#[derive(Clone, Debug)]
pub(crate) struct Truth {
    /// When it expires, by the boot clock.
    pub(crate) expires: Duration,
    /// The number of the last request that brought it.
    pub(crate) asked: u64,
    /// Whether it was given more than once.
    pub(crate) again: bool,
    /// How far the wall clock was set as it was given; at the least.
    pub(crate) set: Duration,
}

/// A request that a server was sent.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) path: String,
    pub(crate) class: usize,
    pub(crate) at: Duration,
    number: u64,
    pub(crate) upheavals: u64,
    ended: bool,
}

pub(crate) struct Net {
    pub(crate) stage: Arc<Stage>,
    state: Mutex<State>,
}

#[derive(Default)]
pub(crate) struct State {
    pub(crate) servers: HashMap<&'static str, Server>,
    pub(crate) truths: HashMap<String, Truth>,
    pub(crate) asked: Vec<Asked>,
    /// When an operation of a class failed at a path, by the boot clock.
    pub(crate) failed: HashMap<(String, usize), Duration>,
    /// Until when the token that a class got at a path is fresh, by the boot clock,
    /// and what had changed clocks before that.
    pub(crate) fresh: HashMap<(String, usize), (Duration, u64)>,
    /// Tokens that were rejected: they are fresh no more, also if they come again.
    pub(crate) rejected: HashSet<String>,
    /// When a class was sent the request that brought it its first keys.
    keys: HashMap<usize, Duration>,
    /// The accounts of metadata servers.
    pub(crate) accounts: Accounts,
    /// For each class who holds credentials for one call, and who asks for the
    /// project.
    pub(crate) brief: HashMap<usize, Held>,
    pub(crate) asking: HashMap<usize, Held>,
    pub(crate) events: u64,
    pub(crate) issued: u64,
    /// For each path: how many refresh it, and when one of them ended, or a
    /// token was rejected.
    forced: HashMap<String, (usize, u64, Duration)>,
}

impl Net {
    /// `shortest`: all tokens live for about a minute.
    pub(crate) fn new(stage: &Arc<Stage>, shortest: bool) -> Arc<Self> {
        let mut state = State::default();
        for name in SERVERS {
            let lifetime = stage.roll(|dice| {
                let kind = if shortest { 0 } else { dice.roll(3) };
                lifetime(dice, kind)
            });
            let server = Server {
                health: Health::Well,
                well_since: Duration::ZERO,
                lifetime,
                tokens: HashMap::new(),
            };
            state.servers.insert(name, server);
        }
        Arc::new(Self {
            stage: Arc::clone(stage),
            state: Mutex::new(state),
        })
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub(crate) fn set_health(&self, name: &str, health: Health) {
        let running = self.stage.running();
        let mut state = self.lock();
        let server = state.servers.get_mut(name).unwrap();
        if health == Health::Well {
            if server.health != Health::Well {
                server.well_since = running;
            }
        } else {
            server.well_since = Duration::MAX;
        }
        server.health = health;
        drop(state);
        self.stage.tell(|| format!("{name}: {health:?}"));
    }

    /// From now on all is well, and tokens live for an hour.
    pub(crate) fn heal(&self) {
        for name in SERVERS {
            self.set_health(name, Health::Well);
            let mut state = self.lock();
            let server = state.servers.get_mut(name).unwrap();
            server.lifetime = Duration::from_secs(3600);
            server.tokens.clear();
        }
    }

    /// From now on the tokens of a server live for another time.
    pub(crate) fn change_lifetime(&self, name: &str) {
        let lifetime = self.stage.roll(|dice| {
            let kind = dice.roll(3);
            lifetime(dice, kind)
        });
        self.lock().servers.get_mut(name).unwrap().lifetime = lifetime;
        self.stage
            .tell(|| format!("{name}: tokens live for {lifetime:?}"));
    }

    pub(crate) fn well_since(&self, name: &str) -> Duration {
        self.lock().servers[name].well_since
    }

    /// The number of what happens next: requests and answers have such numbers.
    pub(crate) fn moment(&self) -> u64 {
        self.lock().events
    }

    pub(crate) fn truth(&self, token: &str) -> Option<Truth> {
        self.lock().truths.get(token).cloned()
    }

    /// When the class was sent the request that brought it its first keys.
    pub(crate) fn first_keys(&self, class: usize) -> Option<Duration> {
        self.lock().keys.get(&class).copied()
    }

    /// Takes note that a token is rejected.
    pub(crate) fn note_rejected(&self, token: &str) {
        self.lock().rejected.insert(token.to_owned());
    }

    /// Every request so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.lock().asked.clone()
    }

    /// Whether its server has no other token in the place of this one.
    pub(crate) fn gives_again(&self, token: &str) -> bool {
        let state = self.lock();
        let mut kept = state.servers.values().flat_map(|it| it.tokens.values());
        kept.any(|(kept, _)| kept == token)
    }

    /// Has the server of `path` make a new token when it is asked next.
    pub(crate) fn revoke(&self, server: &str) {
        let mut state = self.lock();
        state.servers.get_mut(server).unwrap().tokens.clear();
    }

    /// Does what may make two requests overlap: a refresh, or a rejection.
    pub(crate) fn forcing<R>(&self, path: &str, act: impl FnOnce() -> R) -> R {
        let mut state = self.lock();
        state.fresh.retain(|(of, _), _| of != path);
        state.forced.entry(path.to_owned()).or_default().0 += 1;
        drop(state);
        let done = act();
        let running = self.stage.running();
        let mut state = self.lock();
        state.fresh.retain(|(of, _), _| of != path);
        state.events += 1;
        let moment = state.events;
        let forced = state.forced.entry(path.to_owned()).or_default();
        *forced = (forced.0 - 1, moment, running);
        done
    }

    /// Whether a program asked for refreshes that make requests for this path.
    pub(crate) fn is_forced(&self, path: &str, class: usize) -> bool {
        let state = self.lock();
        let any = |it: &dyn Fn(&str) -> bool| state.forced.keys().any(|path| it(path));
        let grant = format!("{OAUTH}/grant-{class}?");
        any(&|it| it == path)
            || path.ends_with(ACCESS) && any(&|it| it.starts_with(&grant))
            || path.ends_with("/source") && any(&|it| it.ends_with(":generateAccessToken"))
    }

    /// One refresh at a time for a slot and a class of settings, none in the second
    /// after a failure, and none while the token is fresh.
    fn begin(&self, path: &str, class: usize) -> (usize, u64) {
        let (running, boot) = (self.stage.running(), self.stage.boot());
        let upheavals = self.stage.upheavals();
        let longest = longest(path);
        let mut state = self.lock();
        let same = |asked: &&Asked| asked.path == path && asked.class == class && !asked.ended;
        let twice = state.asked.iter().find(same).cloned();
        if let Some(other) = twice {
            let forced = state.forced.get(path);
            let forced = forced.is_some_and(|(now, last, at)| {
                *now > 0 || *last > other.number || running < *at + longest
            });
            let upset = other.upheavals != upheavals || running < self.stage.upset_at() + longest;
            if is_slot(path) && !forced && !upset {
                drop(state);
                self.stage.fail(&format!(
                    "two requests at once for {path} with equal settings, the first since {:?}",
                    running - other.at
                ));
            }
        }
        let key = (path.to_owned(), class);
        let failed = state.failed.get(&key).copied();
        let failed = failed.filter(|at| boot < *at + QUIET);
        let fresh = state.fresh.get(&key).copied();
        let fresh = fresh
            .filter(|(until, upset)| boot < *until && *upset == upheavals && self.stage.is_right());
        if failed.is_some() || fresh.is_some() {
            let forced = state.forced.get(path);
            let forced = forced.is_some_and(|(now, _, last)| *now > 0 || running < *last + longest);
            let upset = upheavals > 0 && running < self.stage.upset_at() + longest;
            if !forced && !upset {
                drop(state);
                self.stage.fail(&format!(
                    "class {class} asks for {path} at {boot:?}: it failed at {failed:?}, and has a \
                     fresh token until {fresh:?}"
                ));
            }
        }
        state.events += 1;
        let number = state.events;
        state.asked.push(Asked {
            path: path.to_owned(),
            class,
            at: running,
            number,
            upheavals,
            ended: false,
        });
        let at = state.asked.len() - 1;
        drop(state);
        self.stage.tell(|| format!("class {class} asks for {path}"));
        (at, number)
    }
}

impl std::fmt::Debug for Net {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Net").finish_non_exhaustive()
    }
}

impl Transport for Net {
    fn send(
        &self,
        request: Request<Vec<u8>>,
        limits: &Limits,
    ) -> Result<Response<Vec<u8>>, TransportError> {
        let class = limits.header_lines - FIRST_CLASS;
        let host = request.uri().host().unwrap_or_default();
        let server = SERVERS.into_iter().find(|name| host == *name).unwrap();
        // Scopes and formats are learned: they do not tell slots apart.
        let query = request.uri().query().unwrap_or_default().split('&');
        let audience = query.into_iter().find(|it| it.starts_with("audience="));
        let audience = audience.map(|it| format!("?{it}")).unwrap_or_default();
        let path = format!("{server}{}{audience}", request.uri().path());
        self.judge_begun(class, &path);
        self.judge_signatory(class, &path);
        let (number, asked) = self.begin(&path, class);
        let end = |kind, what: &str| {
            self.stage
                .tell(|| format!("{what} for class {class} at {path}"));
            self.lock().asked[number].ended = true;
            let what = format!("{what} for class {class}");
            Err(TransportError::new(kind, what))
        };
        let way = self.stage.roll(|dice| {
            // Some answers are slow, so that what began later may end earlier.
            let slow = if dice.one_in(8) { 1000 } else { 150 };
            (dice.millis(1, 150), dice.millis(1, slow))
        });
        if way.0 + way.1 > limits.attempt {
            self.stage.sleep(limits.attempt);
            return end(TransportErrorKind::Timeout, "too slow");
        }
        self.stage.sleep(way.0);
        let health = self.lock().servers[server].health;
        match health {
            Health::Hangs => {
                self.stage.sleep(limits.attempt - way.0);
                return end(TransportErrorKind::Timeout, "it hangs");
            }
            Health::Refuses => return end(TransportErrorKind::Connect, "it refuses"),
            _ => {}
        }
        let sent = self.stage.boot();
        let response = self.answer(&request, server, &path, health, asked);
        self.stage.sleep(way.1);
        let expires = self.given(&response);
        self.stage.tell(|| {
            format!(
                "class {class} is answered {}",
                String::from_utf8_lossy(response.body())
            )
        });
        let boot = self.stage.boot();
        let mut state = self.lock();
        state.asked[number].ended = true;
        // What happened on the way may have cost the token its time.
        let upheavals = state.asked[number].upheavals;
        // So may what has happened since its source was given, with which it ends.
        let source = narrowed(&request, &path).and_then(|it| state.truths.get(&it));
        let apart = source.is_some_and(|source| source.set != self.stage.set());
        if let Some(expires) = expires.filter(|_| is_slot(&path) && !apart) {
            let fresh = (expires.saturating_sub(STALE), upheavals);
            state.fresh.insert((path.clone(), class), fresh);
        }
        if health.is_final() && is_slot(&path) {
            state.failed.insert((path, class), boot);
        }
        if server == KEYS && health == Health::Well {
            state.keys.entry(class).or_insert(sent);
        }
        drop(state);
        Ok(response)
    }
}
