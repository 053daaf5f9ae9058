//! What many callers cost who all need a token at the same moment: requests in
//! flight, requests in all, and how long each caller waits.
//!
//! The server is a bare one over TCP on loopback, and so is the transport: both
//! count, so that requests to a port where nobody listens count too. The time
//! limits are a fifth of the defaults, or this would take minutes.
//!
//! A stale token makes nobody wait: there the flight is what is in the
//! background, seen until its first attempt ends.
//!
//! `cargo bench -p gce-auth --bench callers` prints a Markdown table. One
//! request at a time is asserted; times are only shown.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a bench measures and prints"
)]

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Barrier, Mutex,
        atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst},
    },
    thread,
    time::{Duration, Instant},
};

use gce_auth::{
    Credentials, Error, Headers, MetadataClient, RetryPolicy,
    time::{Clock, Now, SystemClock},
    transport::{Limits, Transport, TransportError, TransportErrorKind},
};
use http::{Request, Response};

const TASKS: usize = 10_000;
const THREADS: usize = 500;

/// What 99 of 100 callers may wait at most, where the flight takes so long.
fn target(server: Server, start: Start, flight: Duration) -> Duration {
    let ms = Duration::from_millis;
    match (server, start) {
        (Server::Healthy, Start::Cold) => ms(20),
        (Server::Healthy, Start::Expiry) => flight + ms(10),
        // There is a token: whoever waits, waits for a processor.
        (_, Start::Stale) => ms(10),
        _ => flight + ms(20),
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Server {
    /// Answers after a millisecond.
    Healthy,
    /// Nobody listens.
    Dead,
    /// Takes connections and says nothing.
    Hanging,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Start {
    /// There is no token yet.
    Cold,
    /// The token has just expired.
    Expiry,
    /// The token is good for three more minutes.
    Stale,
}

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nMetadata-Flavor: Google\r\nContent-Length: 47\r\n\r\n\
    {\"access_token\":\"ya29.bench\",\"expires_in\":3600}";

/// Answers every request with a token, after `delay`; never, without one.
fn serve(delay: Option<Duration>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            thread::spawn(move || {
                let mut seen = Vec::new();
                let mut byte = [0];
                while stream.read(&mut byte).is_ok_and(|read| read > 0) {
                    seen.push(byte[0]);
                    if !seen.ends_with(b"\r\n\r\n") {
                        continue;
                    }
                    let Some(delay) = delay else { continue };
                    thread::sleep(delay);
                    // In one piece, so that whoever reads once has read all.
                    let _ = stream.write_all(ANSWER);
                }
            });
        }
    });
    address
}

/// HTTP of the simplest kind, and a count of it.
#[derive(Debug)]
struct Wire {
    server: SocketAddr,
    now: AtomicUsize,
    most: AtomicUsize,
    sent: AtomicUsize,
    /// When the last attempt ended.
    ended: Mutex<Option<Instant>>,
}

impl Wire {
    fn ask(&self, request: &Request<Vec<u8>>, limits: &Limits) -> std::io::Result<String> {
        let mut stream = TcpStream::connect_timeout(&self.server, limits.connect)?;
        stream.set_read_timeout(Some(limits.attempt))?;
        let path = request.uri().path();
        let request = format!("GET {path} HTTP/1.1\r\nMetadata-Flavor: Google\r\n\r\n");
        stream.write_all(request.as_bytes())?;
        let mut answer = vec![0; 4096];
        let read = stream.read(&mut answer)?;
        let text = String::from_utf8_lossy(&answer[..read]);
        let body = text.split_once("\r\n\r\n").map(|(_, body)| body.to_owned());
        body.ok_or_else(|| std::io::ErrorKind::UnexpectedEof.into())
    }
}

impl Transport for Wire {
    fn send(
        &self,
        request: Request<Vec<u8>>,
        limits: &Limits,
    ) -> Result<Response<Vec<u8>>, TransportError> {
        let now = self.now.fetch_add(1, SeqCst) + 1;
        self.most.fetch_max(now, SeqCst);
        self.sent.fetch_add(1, SeqCst);
        let answer = self.ask(&request, limits);
        self.now.fetch_sub(1, SeqCst);
        *self.ended.lock().unwrap() = Some(Instant::now());
        let body = answer.map_err(|error| {
            let kind = match error.kind() {
                std::io::ErrorKind::ConnectionRefused => TransportErrorKind::Connect,
                std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut => {
                    TransportErrorKind::Timeout
                }
                _ => TransportErrorKind::Closed,
            };
            TransportError::new(kind, "no answer").with_source(error)
        })?;
        let response = Response::builder().header("Metadata-Flavor", "Google");
        Ok(response.body(body.into_bytes()).unwrap())
    }
}

/// The system's clock, which can be put forward.
#[derive(Debug, Default)]
struct Ahead {
    system: SystemClock,
    seconds: AtomicU64,
}

impl Clock for Ahead {
    fn now(&self) -> Now {
        let now = self.system.now();
        let ahead = Duration::from_secs(self.seconds.load(SeqCst));
        Now::new(now.wall + ahead, now.boot + ahead)
    }

    fn sleep(&self, duration: Duration) {
        self.system.sleep(duration);
    }
}

struct World {
    credentials: Credentials,
    wire: Arc<Wire>,
}

fn world(server: Server, start: Start) -> World {
    let healthy = serve(Some(Duration::from_millis(1)));
    let address = match server {
        Server::Healthy => healthy,
        // No port that was free a moment ago: somebody else may get it next.
        Server::Dead => SocketAddr::from(([127, 0, 0, 1], 1)),
        Server::Hanging => serve(None),
    };
    let wire = |server| {
        Arc::new(Wire {
            server,
            now: AtomicUsize::new(0),
            most: AtomicUsize::new(0),
            sent: AtomicUsize::new(0),
            ended: Mutex::new(None),
        })
    };
    /// Leads to the one server first, then to the other.
    #[derive(Debug)]
    struct Switch(Arc<Wire>, Arc<Wire>, AtomicUsize, usize);
    impl Transport for Switch {
        fn send(
            &self,
            request: Request<Vec<u8>>,
            limits: &Limits,
        ) -> Result<Response<Vec<u8>>, TransportError> {
            if self.2.fetch_add(1, SeqCst) < self.3 {
                self.0.send(request, limits)
            } else {
                self.1.send(request, limits)
            }
        }
    }
    let measured = wire(address);
    let before = usize::from(start != Start::Cold);
    let switch = Switch(wire(healthy), measured.clone(), AtomicUsize::new(0), before);
    let clock = Arc::new(Ahead::default());
    let mut limits = Limits::new();
    limits.attempt = Duration::from_millis(600);
    limits.first_byte = limits.attempt;
    let client = MetadataClient::builder()
        .endpoint(address.to_string())
        .transport(Arc::new(switch))
        .clock(clock.clone())
        .retry(RetryPolicy::new().budget(Duration::from_secs(2)))
        .limits(limits)
        .build()
        .unwrap();
    let credentials = Credentials::builder().client(client).build().unwrap();
    if start != Start::Cold {
        credentials.blocking_headers().unwrap();
        let age = if start == Start::Stale { 3420 } else { 3600 };
        clock.seconds.store(age, SeqCst);
    }
    World {
        credentials,
        wire: measured,
    }
}

/// What one caller saw: when it came, when it went on, and with what.
type Wait = (Instant, Instant, Result<Headers, Error>);

fn tasks(credentials: &Credentials, count: usize) -> Vec<Wait> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .build()
        .unwrap();
    let tasks: Vec<_> = (0..count)
        .map(|_| {
            let credentials = credentials.clone();
            runtime.spawn(async move {
                let begun = Instant::now();
                let outcome = credentials.headers().await;
                (begun, Instant::now(), outcome)
            })
        })
        .collect();
    let ended = async {
        let mut waits = Vec::with_capacity(count);
        for task in tasks {
            waits.push(task.await.unwrap());
        }
        waits
    };
    runtime.block_on(ended)
}

fn threads(credentials: &Credentials, count: usize) -> Vec<Wait> {
    let barrier = Arc::new(Barrier::new(count));
    let threads: Vec<_> = (0..count)
        .map(|_| {
            let (credentials, barrier) = (credentials.clone(), barrier.clone());
            let builder = thread::Builder::new().stack_size(128 * 1024);
            let caller = move || {
                barrier.wait();
                let begun = Instant::now();
                let outcome = credentials.blocking_headers();
                (begun, Instant::now(), outcome)
            };
            builder.spawn(caller).unwrap()
        })
        .collect();
    threads
        .into_iter()
        .map(|thread| thread.join().unwrap())
        .collect()
}

fn row(
    server: Server,
    start: Start,
    callers: &str,
    run: fn(&Credentials, usize) -> Vec<Wait>,
) -> bool {
    let count = if callers == "tasks" { TASKS } else { THREADS };
    let World { credentials, wire } = world(server, start);
    let waits = run(&credentials, count);
    // The flight: from the first caller that needed it to the last attempt's end.
    let first = waits.iter().map(|wait| wait.0).min().unwrap();
    while start == Start::Stale && wire.ended.lock().unwrap().is_none() {
        thread::yield_now();
    }
    let flight = wire.ended.lock().unwrap().unwrap() - first;
    let good = waits.iter().filter(|wait| wait.2.is_ok()).count();
    let expected = if server == Server::Healthy || start == Start::Stale {
        count
    } else {
        0
    };
    assert_eq!(good, expected, "{server:?} {start:?} {callers}");
    let mut errors: Vec<String> = waits
        .iter()
        .filter_map(|wait| wait.2.as_ref().err().map(ToString::to_string))
        .collect();
    errors.sort();
    errors.dedup();
    assert!(errors.len() <= 1, "more than one flight failed: {errors:?}");
    assert_eq!(wire.most.load(SeqCst), 1, "requests in flight at a time");
    if server == Server::Healthy {
        assert_eq!(wire.sent.load(SeqCst), 1, "one request is enough for all");
    }
    let mut times: Vec<Duration> = waits.iter().map(|wait| wait.1 - wait.0).collect();
    times.sort();
    let ms = |time: Duration| format!("{:.1}", time.as_secs_f64() * 1e3);
    let p99 = times[times.len() * 99 / 100];
    let target = target(server, start, flight);
    let met = p99 <= target;
    println!(
        "| {server:?} | {start:?} | {count} {callers} | {} | {} | {} | {} | {} | {} | {} | {} |",
        wire.most.load(SeqCst),
        wire.sent.load(SeqCst),
        ms(flight),
        ms(times[times.len() / 2]),
        ms(p99),
        ms(times[times.len() - 1]),
        ms(target),
        if met { "yes" } else { "NO" },
    );
    met
}

fn main() {
    println!(
        "| server | token | callers | in flight at most | requests | flight ms | wait p50 ms | p99 ms | max ms | target of p99, ms | met |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |");
    let mut met = true;
    for server in [Server::Healthy, Server::Dead, Server::Hanging] {
        for start in [Start::Cold, Start::Expiry, Start::Stale] {
            met &= row(server, start, "tasks", tasks);
            met &= row(server, start, "threads", threads);
        }
    }
    println!(
        "\n{}",
        if met {
            "The target is met."
        } else {
            "The target is missed."
        }
    );
}
