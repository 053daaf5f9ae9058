//! The driver that a judge of faults asks: one operation per process, or a session of many.
//!
//! A request and an answer are one JSON document on one line each. The credentials are those of a
//! program that sets nothing: the environment alone says where the metadata server is. Or they are
//! those of a file, whole or narrowed, which says where the servers of its source are.

use std::{
    collections::HashMap,
    fs,
    future::Future,
    io::{self, BufRead as _, Write as _},
    panic,
    pin::Pin,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    time::{Duration, SystemTime},
};

use gce_auth::{
    AccessBoundaryRule, CredentialAccessBoundary, Credentials, DefaultOptions, Error, ErrorKind,
    Headers, IdTokenCredentials,
    time::{Clock as _, SystemClock},
};
use http::{HeaderMap, header::AUTHORIZATION};
use serde_json::{Value, json};
use tokio::{
    runtime::{Builder, Runtime},
    task::JoinSet,
};

/// Whether anything panicked, on any thread, even if the panic was caught.
static PANICKED: AtomicBool = AtomicBool::new(false);

/// One answer: the members of its JSON document.
type Answer = Value;
type Call = Pin<Box<dyn Future<Output = Answer> + Send>>;

const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";

/// Where the credentials come from.
#[derive(Clone)]
enum Origin {
    MetadataServer,
    /// A credentials file.
    File(String),
    /// A credentials file, and a file with the URL of the server that narrows its tokens.
    Narrowed(String, String),
}

impl Origin {
    fn credentials(&self) -> Result<Credentials, Error> {
        let loaded = |file: &str| -> Result<Credentials, Error> {
            let options = DefaultOptions::new().scopes([SCOPE]);
            Ok(options.load_file(file)?.credentials)
        };
        match self {
            Self::MetadataServer => Ok(Credentials::new()),
            Self::File(file) => loaded(file),
            Self::Narrowed(file, at) => {
                let bucket = "//storage.googleapis.com/projects/_/buckets/b";
                let rule = AccessBoundaryRule::new(bucket, ["inRole:roles/storage.objectViewer"])?;
                let url = fs::read_to_string(at).unwrap_or_default();
                loaded(file)?.downscope_at(&CredentialAccessBoundary::new([rule])?, url.as_str())
            }
        }
    }
}

/// Runs the subcommand with its arguments; whether they made sense.
pub(crate) fn run(args: &[String]) -> io::Result<bool> {
    let (origin, args) = match args {
        [option, file, at, rest @ ..] if option == "--narrowed" => {
            (Origin::Narrowed(file.clone(), at.clone()), rest)
        }
        [option, file, rest @ ..] if option == "--file" => (Origin::File(file.clone()), rest),
        _ => (Origin::MetadataServer, args),
    };
    let request = match args {
        [op] if op == "session" => return session(origin).map(|()| true),
        [op, aud] if op == "id_token" => json!({"op": op, "aud": aud}),
        [op] if matches!(op.as_str(), "access_token" | "info" | "universe_domain") => {
            json!({"op": op})
        }
        _ => return Ok(false),
    };
    Driver::start(origin)?.answer(&request).map(|()| true)
}

/// Answers each line of standard input, until it ends.
fn session(origin: Origin) -> io::Result<()> {
    let mut driver = Driver::start(origin)?;
    for line in io::stdin().lock().lines() {
        let line = line?;
        if line.trim().is_empty() {
            continue;
        }
        match serde_json::from_str(&line) {
            Ok(request) => driver.answer(&request)?,
            Err(error) => write(&failure("other", &format!("not a request: {error}")))?,
        }
    }
    Ok(())
}

/// The credentials of one process, and the runtime that uses them.
struct Driver {
    origin: Origin,
    /// `None` only while one runtime takes the place of another.
    runtime: Option<Runtime>,
    credentials: Option<Credentials>,
    id_tokens: HashMap<String, IdTokenCredentials>,
}

impl Driver {
    fn start(origin: Origin) -> io::Result<Self> {
        let report = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            PANICKED.store(true, Relaxed);
            report(info);
        }));
        Ok(Self {
            origin,
            runtime: Some(runtime()?),
            credentials: None,
            id_tokens: HashMap::new(),
        })
    }

    fn answer(&mut self, request: &Value) -> io::Result<()> {
        let started = SystemClock::new().now().boot;
        let mut answer = match request["op"].as_str() {
            Some("new_runtime") => {
                // The old one is gone, with all its threads, before the new one begins.
                drop(self.runtime.take());
                self.runtime = Some(runtime()?);
                json!({"ok": true})
            }
            Some("build_outside_runtime") => {
                // This thread has entered no runtime.
                self.id_tokens.clear();
                match self.origin.credentials() {
                    Ok(credentials) => {
                        self.credentials = Some(credentials);
                        json!({"ok": true})
                    }
                    Err(error) => failed(&error),
                }
            }
            Some(_) => self.calls(request),
            None => failure("other", "a request needs an op"),
        };
        if PANICKED.load(Relaxed) {
            answer = failure("panic", "a thread panicked; see standard error");
        }
        let elapsed = SystemClock::new().now().boot.saturating_sub(started);
        answer["elapsed_s"] = json!(elapsed.as_secs_f64());
        write(&answer)
    }

    /// As many calls at once as the request asks for, each in a task of its own.
    fn calls(&mut self, request: &Value) -> Answer {
        let Some(runtime) = &self.runtime else {
            return failure("other", "there is no runtime");
        };
        let (origin, held) = (&self.origin, &mut self.credentials);
        let id_tokens = &mut self.id_tokens;
        let many = request["n"].as_u64();
        runtime.block_on(async {
            let credentials = match held.take().map_or_else(|| origin.credentials(), Ok) {
                Ok(credentials) => &*held.insert(credentials),
                Err(error) => return failed(&error),
            };
            let mut tasks = JoinSet::new();
            for _ in 0..many.unwrap_or(1).max(1) {
                match call(request, credentials, id_tokens) {
                    Some(call) => tasks.spawn(call),
                    None => return failure("unsupported", "no such operation"),
                };
            }
            let (mut first, mut n_ok, mut n_err) = (None::<Answer>, 0_u64, 0_u64);
            while let Some(joined) = tasks.join_next().await {
                let answer = joined.unwrap_or_else(|error| {
                    let kind = if error.is_panic() { "panic" } else { "other" };
                    failure(kind, &error.to_string())
                });
                let ok = answer["ok"] == true;
                *(if ok { &mut n_ok } else { &mut n_err }) += 1;
                // The first failure, else the first success.
                let failed_before = first.as_ref().is_some_and(|first| first["ok"] != true);
                if first.is_none() || (!ok && !failed_before) {
                    first = Some(answer);
                }
            }
            let mut answer = first.unwrap_or_else(|| failure("other", "no call was made"));
            if many.is_some() {
                answer["n_ok"] = json!(n_ok);
                answer["n_err"] = json!(n_err);
            }
            answer
        })
    }
}

fn runtime() -> io::Result<Runtime> {
    Builder::new_multi_thread().enable_all().build()
}

/// One call of one operation, not begun; `None` for an operation that is not there.
fn call(
    request: &Value,
    credentials: &Credentials,
    id_tokens: &mut HashMap<String, IdTokenCredentials>,
) -> Option<Call> {
    let credentials = credentials.clone();
    Some(match request["op"].as_str()? {
        "access_token" => Box::pin(async move {
            match credentials.headers().await {
                Ok(headers) => token(&headers, credentials.expires_at()),
                Err(error) => failed(&error),
            }
        }),
        "id_token" => {
            let audience = request["aud"].as_str()?;
            let credentials = id_tokens
                .entry(audience.to_owned())
                .or_insert_with(|| IdTokenCredentials::new(audience))
                .clone();
            Box::pin(async move {
                match credentials.headers().await {
                    Ok(headers) => token(&headers, credentials.expires_at()),
                    Err(error) => failed(&error),
                }
            })
        }
        "info" => Box::pin(async move {
            match credentials.account().await {
                Ok(account) => {
                    json!({"ok": true, "email": account.email(), "scopes": account.scopes()})
                }
                Err(error) => failed(&error),
            }
        }),
        "universe_domain" => Box::pin(async move {
            match credentials.universe_domain().await {
                Ok(domain) => json!({"ok": true, "value": domain}),
                Err(error) => failed(&error),
            }
        }),
        _ => return None,
    })
}

/// What goes over the wire after `Bearer `.
fn token(headers: &Headers, expires_at: Option<SystemTime>) -> Answer {
    let headers = HeaderMap::from(headers.clone());
    let token = headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer "));
    let Some(token) = token else {
        return failure("other", "the headers hold no bearer token");
    };
    let now = SystemClock::new().now().wall;
    let left = expires_at.map(|at| {
        let at = at.duration_since(SystemTime::UNIX_EPOCH);
        at.unwrap_or(Duration::ZERO).as_secs_f64() - now.as_secs_f64()
    });
    json!({"ok": true, "token": token, "expires_in_s": left})
}

fn failed(error: &Error) -> Answer {
    let kind = match error.kind() {
        ErrorKind::Unavailable => "unavailable",
        ErrorKind::Timeout => "timeout",
        ErrorKind::NotFound => "not_found",
        ErrorKind::Forbidden => "forbidden",
        ErrorKind::NotMetadataServer => "not_metadata_server",
        ErrorKind::InvalidResponse => "invalid_response",
        ErrorKind::Expired => "expired",
        ErrorKind::RateLimited => "rate_limited",
        // What a Google service refuses, by its status.
        ErrorKind::Refused => match error.status() {
            Some(401 | 403) => "forbidden",
            Some(404) => "not_found",
            _ => "other",
        },
        _ => "other",
    };
    failure(kind, &error.to_string())
}

fn failure(kind: &str, message: &str) -> Answer {
    json!({"ok": false, "error_kind": kind, "message": message})
}

/// Writes one line, at once.
fn write(answer: &Answer) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{answer}")?;
    out.flush()
}
