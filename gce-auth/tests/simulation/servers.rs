//! Two metadata servers, IAM, a token endpoint and a server of keys: what they
//! answer, and the truth about it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use gce_auth::transport::{Limits, Transport, TransportError, TransportErrorKind};
use http::{Request, Response};

use crate::stage::Stage;

pub(crate) const METADATA: [&str; 2] = ["metadata-a", "metadata-b"];
pub(crate) const IAM: &str = "iam";
pub(crate) const KEYS: &str = "keys";
pub(crate) const SERVERS: [&str; 4] = [METADATA[0], METADATA[1], IAM, KEYS];
/// A class of equal settings shows in this limit, which nothing here reaches.
pub(crate) const FIRST_CLASS: usize = 100;

/// A refresh that began before a rejection may go on for so long.
pub(crate) const LONGEST: Duration = Duration::from_secs(40);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Health {
    Well,
    Status(u16),
    Hangs,
    Refuses,
    Garbage,
}

#[derive(Debug)]
struct Server {
    health: Health,
    /// Since when it has been well; the end of time where it is not.
    well_since: Duration,
    lifetime: Duration,
    /// The token of each path, as the server keeps it.
    tokens: HashMap<String, (String, Duration)>,
}

/// What is known of a token.
#[derive(Clone, Debug)]
pub(crate) struct Truth {
    /// When it expires, by the boot clock.
    pub(crate) expires: Duration,
    /// The number of the last request that brought it, and of its answer.
    pub(crate) asked: u64,
    pub(crate) given: u64,
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
    stage: Arc<Stage>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    servers: HashMap<&'static str, Server>,
    truths: HashMap<String, Truth>,
    asked: Vec<Asked>,
    events: u64,
    issued: u64,
    /// For each path: how many refresh it, and when one of them ended, or a
    /// token was rejected.
    forced: HashMap<String, (usize, u64, Duration)>,
}

impl Net {
    pub(crate) fn new(stage: &Arc<Stage>) -> Arc<Self> {
        let mut state = State::default();
        for name in SERVERS {
            let lifetime = stage.roll(|dice| match dice.roll(3) {
                0 => Duration::from_secs(20 + dice.roll(60)),
                1 => Duration::from_secs(250 + dice.roll(400)),
                _ => Duration::from_secs(3600),
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

    fn lock(&self) -> MutexGuard<'_, State> {
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
        self.lock().forced.entry(path.to_owned()).or_default().0 += 1;
        let done = act();
        let running = self.stage.running();
        let mut state = self.lock();
        state.events += 1;
        let moment = state.events;
        let forced = state.forced.entry(path.to_owned()).or_default();
        *forced = (forced.0 - 1, moment, running);
        done
    }

    pub(crate) fn is_forced(&self, path: &str) -> bool {
        self.lock().forced.contains_key(path)
    }

    /// One refresh at a time for a slot and a class of settings.
    fn begin(&self, path: &str, class: usize) -> (usize, u64) {
        let running = self.stage.running();
        let upheavals = self.stage.upheavals();
        let mut state = self.lock();
        let same = |asked: &&Asked| asked.path == path && asked.class == class && !asked.ended;
        let twice = state.asked.iter().find(same).cloned();
        if let Some(other) = twice {
            let forced = state.forced.get(path);
            let forced = forced.is_some_and(|(now, last, at)| {
                *now > 0 || *last > other.number || running < *at + LONGEST
            });
            let upset = other.upheavals != upheavals || running < self.stage.upset_at() + LONGEST;
            let is_slot = path.ends_with("/token") || path.contains("/identity");
            if is_slot && !forced && !upset {
                drop(state);
                self.stage.fail(&format!(
                    "two requests at once for {path} with equal settings, the first since {:?}",
                    running - other.at
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

    fn answer(&self, request: &Request<Vec<u8>>, server: &str, asked: u64) -> Response<Vec<u8>> {
        let uri = request.uri();
        let path = uri.path();
        let health = self.lock().servers[server].health;
        let flavor = Response::builder().header("Metadata-Flavor", "Google");
        let json = |body: String| {
            let response = Response::builder()
                .header("Metadata-Flavor", "Google")
                .header("Content-Type", "application/json");
            response.body(body.into_bytes()).unwrap()
        };
        match health {
            Health::Status(status) => return flavor.status(status).body(Vec::new()).unwrap(),
            Health::Garbage => return json("{\"access_token\":".to_owned()),
            _ => {}
        }
        if path.ends_with("/token") {
            let (token, left) = self.token(server, path, asked);
            let seconds = left.as_secs();
            return json(format!(
                r#"{{"access_token":"{token}","expires_in":{seconds},"token_type":"Bearer"}}"#
            ));
        }
        if path.ends_with("/identity") {
            let query = uri.query().unwrap_or_default();
            let (token, _) = self.token(server, &format!("{path}?{query}"), asked);
            return flavor.body(token.into_bytes()).unwrap();
        }
        if path.ends_with(":signBlob") {
            return json(r#"{"keyId":"k","signedBlob":"c2lnbmF0dXJl"}"#.to_owned());
        }
        if server == KEYS {
            let n = BASE64_URL_SAFE_NO_PAD.encode([0xd5; 256]);
            let key = format!(r#"{{"kty":"RSA","kid":"k","alg":"RS256","n":"{n}","e":"AQAB"}}"#);
            return json(format!(r#"{{"keys":[{key}]}}"#));
        }
        if path.contains("service-accounts/") {
            return json(
                r#"{"aliases":["default"],"email":"a@p.iam.gserviceaccount.com","scopes":["s"]}"#
                    .to_owned(),
            );
        }
        flavor.body(b"project".to_vec()).unwrap()
    }

    /// The token of a path: the one that the server keeps, or a new one.
    fn token(&self, server: &str, path: &str, asked: u64) -> (String, Duration) {
        let boot = self.stage.boot();
        let wall = self.stage.true_wall();
        let mut state = self.lock();
        let lifetime = state.servers[server].lifetime;
        let kept = state.servers[server].tokens.get(path).cloned();
        let kept = kept.filter(|(_, expires)| *expires > boot + Duration::from_secs(300));
        let (token, expires) = kept.unwrap_or_else(|| {
            state.issued += 1;
            let name = state.issued;
            let token = if path.contains("/identity") {
                let claims = format!(
                    r#"{{"aud":"{}","iat":{},"exp":{},"jti":"{name}"}}"#,
                    audience(path),
                    wall.as_secs(),
                    (wall + lifetime).as_secs()
                );
                let claims = BASE64_URL_SAFE_NO_PAD.encode(claims);
                format!("eyJhbGciOiJSUzI1NiJ9.{claims}.c2ln")
            } else {
                format!("token-{name}")
            };
            (token, boot + lifetime)
        });
        let kept = (token.clone(), expires);
        state
            .servers
            .get_mut(server)
            .unwrap()
            .tokens
            .insert(path.to_owned(), kept);
        let truth = state.truths.entry(token.clone()).or_insert(Truth {
            expires,
            asked,
            given: 0,
        });
        truth.asked = truth.asked.max(asked);
        (token, expires.saturating_sub(boot))
    }

    fn given(&self, response: &Response<Vec<u8>>) {
        let body = String::from_utf8_lossy(response.body()).into_owned();
        let token = body.split('"').find(|part| part.starts_with("token-"));
        let token = token.unwrap_or(&body);
        let mut state = self.lock();
        state.events += 1;
        let moment = state.events;
        if let Some(truth) = state.truths.get_mut(token) {
            truth.given = moment;
        }
    }
}

fn audience(path: &str) -> &str {
    let query = path.split("audience=").nth(1).unwrap_or_default();
    query.split('&').next().unwrap_or_default()
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
        let (number, asked) = self.begin(&path, class);
        let end = |kind, what: &str| {
            self.stage
                .tell(|| format!("{what} for class {class} at {path}"));
            self.lock().asked[number].ended = true;
            let what = format!("{what} for class {class}");
            Err(TransportError::new(kind, what))
        };
        let way = self
            .stage
            .roll(|dice| (dice.millis(1, 150), dice.millis(1, 150)));
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
        let response = self.answer(&request, server, asked);
        self.stage.sleep(way.1);
        self.given(&response);
        self.stage.tell(|| {
            format!(
                "class {class} is answered {}",
                String::from_utf8_lossy(response.body())
            )
        });
        self.lock().asked[number].ended = true;
        Ok(response)
    }
}
