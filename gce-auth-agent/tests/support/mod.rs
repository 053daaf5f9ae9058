//! A metadata server that does as a test says, an agent before it, and clients of raw HTTP.
#![allow(dead_code, reason = "each test file uses a part")]
#![allow(clippy::unwrap_used, reason = "a test says with it what it expects")]

use std::{
    collections::HashSet,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use gce_auth_agent::{Agent, AgentBuilder};
use gce_auth_server::{
    Answer, Service,
    listen::{Listener, TcpPort},
    protocol::{reply::Reply, request::Request},
    serve,
    service::Connection,
};

/// Stands in every token, so that one search finds a leak.
pub(crate) const MARK: &str = "qZ7x";
/// The address of the account `default`.
pub(crate) const MAIN: &str = "main@p.iam.gserviceaccount.com";
/// Long enough for every answer on a busy machine.
const LONG: Duration = Duration::from_secs(60);

/// What the source does.
#[derive(Debug, Default)]
pub(crate) struct Script {
    /// Accounts whose tokens never come.
    pub(crate) hanging: Mutex<HashSet<String>>,
    pub(crate) hangs: AtomicUsize,
    /// Instead of every token.
    pub(crate) instead: Mutex<Option<(u16, String)>>,
    /// Whether that comes from another server than a metadata server.
    pub(crate) is_other: AtomicBool,
    /// In seconds; 0 is an hour.
    pub(crate) lifetime: AtomicU64,
    pub(crate) tokens: AtomicUsize,
    /// How often the values that are numbers were asked for: each answer is another.
    pub(crate) counted: AtomicUsize,
}

/// A metadata server. It ends with its drop.
pub(crate) struct Source {
    pub(crate) address: SocketAddr,
    pub(crate) script: Arc<Script>,
    runtime: Option<tokio::runtime::Runtime>,
}

impl Source {
    pub(crate) fn start() -> Self {
        let script = Arc::new(Script::default());
        let port = TcpPort::open("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = port.local_addr().unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let service = Arc::new(Answers(Arc::clone(&script)));
        runtime.spawn(serve(vec![Listener::tcp(port)], service, Arc::new(())));
        Self {
            address,
            script,
            runtime: Some(runtime),
        }
    }

    /// From now on connections are refused.
    pub(crate) fn stop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
        while TcpStream::connect(self.address).is_ok() {}
    }
}

struct Answers(Arc<Script>);

impl Service for Answers {
    type Caller = ();

    fn date(&self) -> bytes::Bytes {
        bytes::Bytes::from_static(b"Thu, 01 Jan 1970 00:00:00 GMT")
    }

    async fn identify(&self, _: &Connection) {}

    fn serve<'a>(&'a self, request: Request, (): &'a ()) -> Answer<'a> {
        let place = request.path.strip_prefix("/computeMetadata/v1/");
        let steps: Vec<_> = place.unwrap_or_default().split('/').collect();
        if let Some(account) = impersonated(&request.path) {
            if self.0.hanging.lock().unwrap().contains(account) {
                self.0.hangs.fetch_add(1, Ordering::Relaxed);
                return Answer::Later(Box::pin(std::future::pending()));
            }
            return Answer::Ready(self.0.impersonated(account));
        }
        Answer::Ready(match steps[..] {
            [
                "instance",
                "service-accounts",
                account,
                leaf @ ("token" | "identity"),
            ] => {
                let hangs = self.0.hanging.lock().unwrap().contains(account);
                if hangs {
                    self.0.hangs.fetch_add(1, Ordering::Relaxed);
                    return Answer::Later(Box::pin(std::future::pending()));
                }
                self.0.token(account, leaf)
            }
            ["instance", "service-accounts", "default", "email"] => text(MAIN),
            // The library asks for it before a token that must be new.
            ["instance", "service-accounts", "default", ""] => Reply::new(
                200,
                "application/json",
                format!("{{\"aliases\":[\"default\"],\"email\":\"{MAIN}\",\"scopes\":[\"all\"]}}"),
            ),
            ["instance", "attributes", "color"] => text("blue"),
            ["instance", "id"] | ["instance", "attributes", "count"] => {
                let count = self.0.counted.fetch_add(1, Ordering::Relaxed);
                Reply::new(200, "application/text", count.to_string())
            }
            ["instance", "attributes", ""] => Reply::new(
                200,
                "application/json",
                "{\"color\":\"blue\",\"shape\":\"round\"}",
            ),
            ["instance", "attributes"] => Reply::new(301, "text/html", "").with(
                "Location",
                "http://metadata.google.internal/computeMetadata/v1/instance/attributes/",
            ),
            // On other machines a directory.
            ["instance", "virtual-clock"] => text("hidden"),
            _ => Reply::new(404, "text/html", "no"),
        })
    }
}

/// The account of a request to the IAM API for an access token.
fn impersonated(path: &str) -> Option<&str> {
    let account = path.strip_prefix("/v1/projects/-/serviceAccounts/")?;
    account.strip_suffix(":generateAccessToken")
}

fn text(text: &'static str) -> Reply {
    Reply::new(200, "application/text", text)
}

impl Script {
    fn impersonated(&self, account: &str) -> Reply {
        let number = self.tokens.fetch_add(1, Ordering::Relaxed);
        let token = format!("ya29.{MARK}.{account}.{number}");
        let body =
            format!("{{\"accessToken\":\"{token}\",\"expireTime\":\"2100-01-01T00:00:00Z\"}}");
        Reply::new(200, "application/json", body)
    }

    fn token(&self, account: &str, leaf: &str) -> Reply {
        let number = self.tokens.fetch_add(1, Ordering::Relaxed);
        if let Some((status, body)) = self.instead.lock().unwrap().clone() {
            let reply = Reply::new(status, "application/json", body);
            let is_other = self.is_other.load(Ordering::Relaxed);
            return if is_other {
                reply.flavored(None)
            } else {
                reply
            };
        }
        if leaf == "identity" {
            // `{"alg":"none"}` and `{"exp":4102444800}`.
            let token = format!("eyJhbGciOiJub25lIn0.eyJleHAiOjQxMDI0NDQ4MDB9.{MARK}");
            return Reply::new(200, "text/html", token);
        }
        let lifetime = match self.lifetime.load(Ordering::Relaxed) {
            0 => 3600,
            seconds => seconds,
        };
        let token = format!("ya29.{MARK}.{account}.{number}");
        Reply::new(
            200,
            "application/json",
            format!(
                "{{\"access_token\":\"{token}\",\"expires_in\":{lifetime},\"token_type\":\"Bearer\"}}"
            ),
        )
    }
}

/// A directory that is removed at the end.
pub(crate) struct Scratch(pub(crate) PathBuf);

impl Scratch {
    pub(crate) fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("gce-auth-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// An agent before this source.
pub(crate) fn start(source: &Source, builder: AgentBuilder) -> Agent {
    let builder = AgentBuilder {
        upstream: Some(source.address.to_string()),
        ..builder
    };
    builder.start().unwrap()
}

/// An agent before this source, on any port, for the own user.
pub(crate) fn start_open(source: &Source) -> (Agent, SocketAddr) {
    let builder = AgentBuilder {
        listen: vec!["127.0.0.1:0".parse().unwrap()],
        ..AgentBuilder::default()
    };
    let agent = start(source, builder);
    let address = agent.tcp()[0];
    (agent, address)
}

/// A connection that is kept.
pub(crate) struct Client {
    stream: BufReader<TcpStream>,
}

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(LONG)).unwrap();
        Self {
            stream: BufReader::new(stream),
        }
    }

    /// Asks for a path below version 1; returns status and body.
    pub(crate) fn get(&mut self, path: &str) -> (u16, String) {
        self.ask(
            "metadata.google.internal",
            &format!("/computeMetadata/v1/{path}"),
        )
    }

    pub(crate) fn ask(&mut self, host: &str, path: &str) -> (u16, String) {
        self.send(host, path);
        self.receive()
    }

    /// Sends a request below version 1, without a look at its answer.
    pub(crate) fn begin(&mut self, path: &str) {
        self.send(
            "metadata.google.internal",
            &format!("/computeMetadata/v1/{path}"),
        );
    }

    /// Sends a request with another method below version 1, without a look at its answer.
    pub(crate) fn write(&mut self, method: &str, path: &str) {
        let path = format!("/computeMetadata/v1/{path}");
        self.send_as(method, "metadata.google.internal", &path);
    }

    fn send(&mut self, host: &str, path: &str) {
        self.send_as("GET", host, path);
    }

    fn send_as(&mut self, method: &str, host: &str, path: &str) {
        let request =
            format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nMetadata-Flavor: Google\r\n\r\n");
        self.stream.get_mut().write_all(request.as_bytes()).unwrap();
    }

    /// Reads an answer: its status and its body.
    pub(crate) fn receive(&mut self) -> (u16, String) {
        let (mut status, mut length) = (0, 0);
        loop {
            let mut line = String::new();
            assert!(self.stream.read_line(&mut line).unwrap() > 0, "closed");
            let line = line.trim_end();
            if line.is_empty() {
                break;
            }
            if let Some(rest) = line.strip_prefix("HTTP/1.1 ") {
                status = rest[..3].parse().unwrap();
            }
            if let Some(rest) = line.strip_prefix("Content-Length: ") {
                length = rest.parse().unwrap();
            }
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).unwrap();
        (status, String::from_utf8(body).unwrap())
    }
}

pub(crate) fn token_path(account: &str) -> String {
    format!("instance/service-accounts/{account}/token")
}

/// The account that a token of the [`Source`] is of.
pub(crate) fn account_of(body: &str) -> String {
    let token: serde_json::Value = serde_json::from_str(body).unwrap();
    let token = token["access_token"].as_str().unwrap();
    let rest = token.strip_prefix("ya29.").unwrap();
    let rest = rest.strip_prefix(MARK).unwrap().strip_prefix('.').unwrap();
    rest.rsplit_once('.').unwrap().0.to_owned()
}
