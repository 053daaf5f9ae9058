//! How a server ends, over real sockets: what is under way is answered, all else closed.

#![allow(clippy::unwrap_used, reason = "a test says with it what it expects")]

use std::{
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
    sync::{Arc, mpsc},
    thread::{self, JoinHandle},
    time::Duration,
};

use gce_auth_server::{
    Answer, Hooks, Service,
    listen::{Listener, TcpPort},
    protocol::{reply::Reply, request::Request},
    serve, serve_with_shutdown,
    service::{Arrival, Connection, Sent},
};
use tokio::sync::{Semaphore, oneshot};

/// More than the buffers of a socket hold.
const BIG: usize = 16 << 20;
/// Long enough for every test to end before.
const LONG: Duration = Duration::from_secs(60);

/// Answers `/now` and `/big` at once, and all else once the gate opens.
struct Gated(Arc<Semaphore>);

impl Service for Gated {
    type Caller = ();

    fn date(&self) -> bytes::Bytes {
        bytes::Bytes::from_static(b"Thu, 01 Jan 1970 00:00:00 GMT")
    }

    async fn identify(&self, _: &Connection) {}

    fn serve<'a>(&'a self, request: Request, (): &'a ()) -> Answer<'a> {
        let reply = |body: Vec<u8>| Reply::new(200, "text/plain", body);
        match &*request.path {
            "/now" => Answer::Ready(reply(b"now".into())),
            "/big" => Answer::Ready(reply(vec![b'x'; BIG])),
            _ => Answer::Later(Box::pin(async move {
                let _ = self.0.acquire().await;
                reply(b"late".into())
            })),
        }
    }
}

/// Tells of requests that came and went.
struct Told(mpsc::Sender<Seen>);

#[derive(Debug, PartialEq, Eq)]
enum Seen {
    Arrived,
    Departed(Option<u16>),
}

impl Hooks for Told {
    type Client = ();

    fn arrived(&self, _: &Request, (): &()) -> Arrival {
        let _ = self.0.send(Seen::Arrived);
        Arrival::default()
    }

    fn answered(&self, _: u64, answer: &Sent<'_>) {
        let _ = self.0.send(Seen::Departed(Some(answer.status)));
    }

    fn departed(&self, _: u64) {
        let _ = self.0.send(Seen::Departed(None));
    }
}

/// A server on a thread of its own.
struct Server {
    address: SocketAddr,
    gate: Arc<Semaphore>,
    seen: mpsc::Receiver<Seen>,
    stop: oneshot::Sender<Duration>,
    thread: JoinHandle<usize>,
}

fn start_on(more: impl FnOnce(SocketAddr) -> Vec<Listener>) -> Server {
    let port = TcpPort::open("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = port.local_addr().unwrap();
    let mut listeners = more(address);
    listeners.push(Listener::tcp(port));
    let gate = Arc::new(Semaphore::new(0));
    let service = Arc::new(Gated(Arc::clone(&gate)));
    let (sender, seen) = mpsc::channel();
    let (stop, stopped) = oneshot::channel();
    let thread = thread::spawn(move || {
        let shutdown = async { stopped.await.unwrap() };
        let hooks = Arc::new(Told(sender));
        runtime().block_on(serve_with_shutdown(listeners, service, hooks, shutdown))
    });
    let thread = thread::spawn(|| thread.join().unwrap().unwrap());
    Server {
        address,
        gate,
        seen,
        stop,
        thread,
    }
}

fn start() -> Server {
    start_on(|_| Vec::new())
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

impl Server {
    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(LONG)).unwrap();
        stream
    }

    /// Sends a request, and returns once the server has it.
    fn ask(&self, mut stream: impl Write, path: &str) {
        write!(stream, "GET {path} HTTP/1.1\r\nHost: m\r\n\r\n").unwrap();
        loop {
            if self.seen.recv_timeout(LONG).unwrap() == Seen::Arrived {
                return;
            }
        }
    }
}

/// Everything until the server closes.
fn rest(mut stream: impl Read) -> Vec<u8> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    bytes
}

fn one_answer(stream: &mut impl Read) {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\nnow") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        bytes.push(byte[0]);
    }
}

#[test]
fn requests_under_way_are_answered_and_all_else_is_closed() {
    let server = start();
    let fresh = server.connect();
    let mut idle = server.connect();
    server.ask(&idle, "/now");
    one_answer(&mut idle);
    let mut half = server.connect();
    server.ask(&half, "/now");
    one_answer(&mut half);
    half.write_all(b"GET /now HT").unwrap();
    let busy = server.connect();
    server.ask(&busy, "/later");

    server.stop.send(LONG).unwrap();
    assert_eq!(rest(fresh), b"");
    assert_eq!(rest(idle), b"");
    // Unread bytes make the system reset it.
    let mut byte = [0];
    let read = half.read(&mut byte);
    assert!(
        read.as_ref().map_or_else(
            |error| error.kind() == ErrorKind::ConnectionReset,
            |n| *n == 0
        ),
        "{read:?}"
    );
    let refused = TcpStream::connect(server.address).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    assert!(!server.thread.is_finished());

    server.gate.add_permits(1);
    let answer = String::from_utf8(rest(busy)).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(
        answer.to_lowercase().contains("connection: close\r\n"),
        "{answer}"
    );
    assert!(answer.ends_with("\r\n\r\nlate"), "{answer}");
    assert_eq!(server.thread.join().unwrap(), 0);
}

#[test]
fn the_deadline_cuts_off_what_is_not_answered() {
    let server = start();
    let busy: Vec<_> = (0..3).map(|_| server.connect()).collect();
    for stream in &busy {
        server.ask(stream, "/never");
    }
    server.stop.send(Duration::from_millis(1)).unwrap();
    assert_eq!(server.thread.join().unwrap(), 3);
    for stream in busy {
        assert_eq!(rest(stream), b"");
        assert_eq!(
            server.seen.recv_timeout(LONG).unwrap(),
            Seen::Departed(None)
        );
    }
}

#[test]
fn an_answer_that_is_read_slowly_arrives_whole() {
    let server = start();
    let mut slow = server.connect();
    server.ask(&slow, "/big");
    let mut first = [0; 1];
    slow.read_exact(&mut first).unwrap();
    server.stop.send(LONG).unwrap();
    // The listener is closed: so the server drains.
    while TcpStream::connect(server.address).is_ok() {
        thread::yield_now();
    }
    let answer = rest(slow);
    let start = answer.len() - BIG;
    assert!(answer[start..].iter().all(|byte| *byte == b'x'));
    assert!(answer[..start].ends_with(b"\r\n\r\n"));
    assert_eq!(server.thread.join().unwrap(), 0);
}

#[test]
fn a_handshake_that_does_not_come_is_not_waited_for() {
    #[derive(Debug)]
    struct Nothing;
    impl rustls::server::ResolvesServerCert for Nothing {
        fn resolve(
            &self,
            _: rustls::server::ClientHello<'_>,
        ) -> Option<Arc<rustls::sign::CertifiedKey>> {
            None
        }
    }
    let mut tls = None;
    let server = start_on(|_| {
        let port = TcpPort::open("127.0.0.1:0".parse().unwrap()).unwrap();
        tls = Some(port.local_addr().unwrap());
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(Nothing));
        vec![Listener::tcp(port).tls(Arc::new(config))]
    });
    let silent = TcpStream::connect(tls.unwrap()).unwrap();
    server.ask(server.connect(), "/now");
    server.stop.send(LONG).unwrap();
    assert_eq!(rest(silent), b"");
    assert_eq!(server.thread.join().unwrap(), 0);
}

#[cfg(unix)]
#[test]
fn unix_sockets_drain_alike() {
    use std::os::unix::net::{UnixListener, UnixStream};

    use gce_auth_server::listen::UnixPort;

    let path = std::env::temp_dir().join(format!("drain-{}.sock", std::process::id()));
    let _ = std::fs::remove_file(&path);
    let server = start_on(|_| {
        let port = UnixPort::from_listener(UnixListener::bind(&path).unwrap()).unwrap();
        vec![Listener::unix(port)]
    });
    let fresh = UnixStream::connect(&path).unwrap();
    let busy = UnixStream::connect(&path).unwrap();
    server.ask(&busy, "/later");
    server.stop.send(LONG).unwrap();
    assert_eq!(rest(fresh), b"");
    assert!(UnixStream::connect(&path).is_err());
    server.gate.add_permits(1);
    assert!(rest(busy).ends_with(b"\r\n\r\nlate"));
    assert_eq!(server.thread.join().unwrap(), 0);
    std::fs::remove_file(path).unwrap();
}

#[test]
fn a_dropped_server_closes_its_connections_while_the_runtime_lives() {
    let port = TcpPort::open("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = port.local_addr().unwrap();
    let gate = Arc::new(Semaphore::new(0));
    let (sender, seen) = mpsc::channel();
    let hooks = Arc::new(Told(sender));
    let runtime = runtime();
    let service = Arc::new(Gated(gate));
    let serving = runtime.spawn(serve(vec![Listener::tcp(port)], service, hooks));
    let client = thread::spawn(move || {
        let mut stream = TcpStream::connect(address).unwrap();
        stream
            .write_all(b"GET /never HTTP/1.1\r\nHost: m\r\n\r\n")
            .unwrap();
        assert_eq!(seen.recv_timeout(LONG).unwrap(), Seen::Arrived);
        serving.abort();
        assert_eq!(rest(stream), b"");
        assert_eq!(seen.recv_timeout(LONG).unwrap(), Seen::Departed(None));
    });
    runtime.block_on(async move {
        while !client.is_finished() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        client.join().unwrap();
    });
}
