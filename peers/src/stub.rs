//! The metadata server that all contestants ask: as light as can be, so that
//! what is measured is theirs. A thread takes a connection that waits, answers
//! with one write, and says how often it was asked.
//!
//! It is a process of its own; [`crate::server`] starts and turns it.

use std::{
    collections::HashMap,
    io::{self, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst},
    },
    thread,
    time::{Duration, SystemTime},
};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};

/// Threads that wait for connections, at least.
const IDLE: usize = 8;
/// Real tokens are about as long.
const TOKEN: usize = 220;
/// The account.
const ROBOT: &str = "robot@project.iam.gserviceaccount.com";

struct Stub {
    listener: TcpListener,
    idle: AtomicUsize,
    latency_us: AtomicU64,
    lifetime: AtomicU64,
    tokens: AtomicU64,
    requests: AtomicU64,
    connections: AtomicU64,
    serial: AtomicU64,
    open: Mutex<HashMap<SocketAddr, TcpStream>>,
}

/// Serves until the process ends. Uses port 80 of loopback where that is
/// allowed and free, as one contestant knows no other.
///
/// # Errors
/// If there is no port to listen at.
pub fn start() -> io::Result<SocketAddr> {
    let listener =
        TcpListener::bind("127.0.0.1:80").or_else(|_| TcpListener::bind("127.0.0.1:0"))?;
    // More may knock at a time than the standard library has wait.
    rustix::net::listen(&listener, 4096)?;
    let address = listener.local_addr()?;
    let stub = Arc::new(Stub {
        listener,
        idle: AtomicUsize::new(0),
        latency_us: AtomicU64::new(0),
        lifetime: AtomicU64::new(3600),
        tokens: AtomicU64::new(0),
        requests: AtomicU64::new(0),
        connections: AtomicU64::new(0),
        serial: AtomicU64::new(0),
        open: Mutex::default(),
    });
    (0..IDLE).for_each(|_| wait(&stub));
    Ok(address)
}

fn wait(stub: &Arc<Stub>) {
    let stub = Arc::clone(stub);
    stub.idle.fetch_add(1, SeqCst);
    let builder = thread::Builder::new().stack_size(128 * 1024);
    let waiting = builder.spawn(move || {
        while let Ok((stream, client)) = stub.listener.accept() {
            // No client waits for a thread to start.
            if stub.idle.fetch_sub(1, SeqCst) <= IDLE / 2 {
                wait(&stub);
            }
            // A client that hangs up is none of the stub's business.
            let _ = stub.serve(stream, client);
            stub.open().remove(&client);
            if stub.idle.fetch_add(1, SeqCst) >= 2 * IDLE {
                stub.idle.fetch_sub(1, SeqCst);
                return;
            }
        }
    });
    drop(waiting);
}

impl Stub {
    fn open(&self) -> MutexGuard<'_, HashMap<SocketAddr, TcpStream>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self, mut stream: TcpStream, client: SocketAddr) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let mut buffer = Vec::with_capacity(2048);
        let mut counted = false;
        loop {
            let end = loop {
                if let Some(end) = buffer.windows(4).position(|four| four == b"\r\n\r\n") {
                    break end;
                }
                let mut piece = [0; 2048];
                let read = stream.read(&mut piece)?;
                if read == 0 {
                    return Ok(());
                }
                buffer.extend_from_slice(&piece[..read]);
            };
            let head = String::from_utf8_lossy(&buffer[..end]).into_owned();
            buffer.drain(..end + 4);
            let target = head.split(' ').nth(1).unwrap_or_default();
            let (path, query) = target.split_once('?').unwrap_or((target, ""));
            let (status, kind, body) = if path == "/stub" {
                ("200 OK", "text/plain", self.turn(query))
            } else {
                self.requests.fetch_add(1, SeqCst);
                if !counted {
                    counted = true;
                    self.connections.fetch_add(1, SeqCst);
                    self.open().insert(client, stream.try_clone()?);
                }
                let latency = self.latency_us.load(SeqCst);
                if latency > 0 {
                    thread::sleep(Duration::from_micros(latency));
                }
                self.answer(path, query)
            };
            let length = body.len();
            let answer = format!(
                "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nMetadata-Flavor: Google\r\n\
                 Content-Length: {length}\r\n\r\n{body}"
            );
            stream.write_all(answer.as_bytes())?;
        }
    }

    /// Changes what is named, and gives and forgets what was counted.
    fn turn(&self, query: &str) -> String {
        for pair in query.split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            if name == "hang_up" {
                for (_, stream) in self.open().drain() {
                    // Its client may have gone already.
                    let _ = stream.shutdown(Shutdown::Both);
                }
            }
            let Ok(value) = value.parse() else { continue };
            match name {
                "latency_us" => self.latency_us.store(value, SeqCst),
                "lifetime" => self.lifetime.store(value, SeqCst),
                _ => {}
            }
        }
        let tokens = self.tokens.swap(0, SeqCst);
        let requests = self.requests.swap(0, SeqCst);
        format!("{tokens} {requests} {}", self.connections.swap(0, SeqCst))
    }

    fn answer(&self, path: &str, query: &str) -> (&'static str, &'static str, String) {
        let ok = |kind, text: &str| ("200 OK", kind, text.to_owned());
        let (_, last) = path
            .trim_end_matches('/')
            .rsplit_once('/')
            .unwrap_or(("", path));
        match last {
            "token" => {
                self.tokens.fetch_add(1, SeqCst);
                let serial = self.serial.fetch_add(1, SeqCst);
                let lifetime = self.lifetime.load(SeqCst);
                let token = format!("ya29.c.{serial:0>width$}", width = TOKEN - 7);
                ok(
                    "application/json",
                    &format!(
                        "{{\"access_token\":\"{token}\",\"expires_in\":{lifetime},\
                         \"token_type\":\"Bearer\"}}"
                    ),
                )
            }
            "identity" => {
                self.tokens.fetch_add(1, SeqCst);
                ok("text/html", &self.identity(query))
            }
            "default" | ROBOT => ok(
                "application/json",
                "{\"aliases\":[\"default\"],\"email\":\"robot@project.iam.gserviceaccount.com\",\
                 \"scopes\":[\"https://www.googleapis.com/auth/cloud-platform\"]}",
            ),
            "email" => ok("text/plain", ROBOT),
            "service-accounts" => ok("application/text", &format!("default/\n{ROBOT}/\n")),
            "project-id" => ok("text/plain", "project"),
            "numeric-project-id" => ok("text/plain", "123456789012"),
            "universe-domain" => ok("text/plain", "googleapis.com"),
            "/" | "instance" => ok("text/plain", "attributes/"),
            _ => ("404 Not Found", "text/plain", "not found".to_owned()),
        }
    }

    /// An ID token for the audience in the query: of a real one's length, with
    /// a signature of nothing.
    fn identity(&self, query: &str) -> String {
        let audience = query
            .split('&')
            .find_map(|pair| pair.strip_prefix("audience="));
        let audience = audience
            .unwrap_or_default()
            .replace("%3A", ":")
            .replace("%2F", "/");
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let now = now.unwrap_or_default().as_secs();
        let until = now + self.lifetime.load(SeqCst);
        let claims = format!(
            "{{\"aud\":\"{audience}\",\"azp\":\"112233445566778899001\",\
             \"email\":\"robot@project.iam.gserviceaccount.com\",\"email_verified\":true,\
             \"exp\":{until},\"iat\":{now},\"iss\":\"https://accounts.google.com\",\
             \"sub\":\"112233445566778899001\"}}"
        );
        let part = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
        let head =
            part(b"{\"alg\":\"RS256\",\"kid\":\"2f12f6cc65fd8ac9fd9b2b9e\",\"typ\":\"JWT\"}");
        format!("{head}.{}.{}", part(claims.as_bytes()), part(&[7; 256]))
    }
}
