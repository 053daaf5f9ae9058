//! Many clients at once do not hold up another one: it has its answer after few of theirs, by the
//! order of the requests and not by the clock.

#![allow(clippy::unwrap_used, reason = "a test says with it what it expects")]

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread,
};

use gce_auth_server::{
    Answer, Hooks, Service,
    listen::{Listener, TcpPort},
    protocol::{reply::Reply, request::Request},
    serve,
    service::{Connection, Sent},
};
use tokio::sync::Notify;

const MANY: usize = 300;
/// A thread that was paused in a request took long for it, and the next one of that client comes in
/// turn: the best of so many tries counts.
const TRIES: usize = 20;

/// Answers each path with itself. `/hold` keeps the only thread until the test lets it go, and then
/// wakes those who asked for `/wait`.
struct Echo {
    held: mpsc::Sender<()>,
    go: Mutex<mpsc::Receiver<()>>,
    wake: Notify,
}

impl Service for Echo {
    type Caller = ();

    fn date(&self) -> bytes::Bytes {
        bytes::Bytes::from_static(b"Thu, 01 Jan 1970 00:00:00 GMT")
    }

    async fn identify(&self, _: &Connection) {}

    fn serve<'a>(&'a self, request: Request, (): &'a ()) -> Answer<'a> {
        let reply = Reply::new(200, "text/plain", request.path.clone());
        match &*request.path {
            "/hold" => {
                self.held.send(()).unwrap();
                let go = self.go.lock().unwrap_or_else(PoisonError::into_inner);
                go.recv().unwrap();
                self.wake.notify_waiters();
                Answer::Ready(reply)
            }
            "/wait" => Answer::Later(Box::pin(async move {
                self.wake.notified().await;
                reply
            })),
            _ => Answer::Ready(reply),
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Seen {
    Connected,
    Arrived,
    Answered(String),
}

struct Told(mpsc::Sender<Seen>);

impl Hooks for Told {
    type Client = ();

    fn connected(&self, _: &Connection) {
        let _ = self.0.send(Seen::Connected);
    }

    fn arrived(&self, _: &Request, (): &()) -> gce_auth_server::service::Arrival {
        let _ = self.0.send(Seen::Arrived);
        gce_auth_server::service::Arrival::default()
    }

    fn answered(&self, _: u64, answer: &Sent<'_>) {
        let body = String::from_utf8_lossy(answer.body).into_owned();
        let _ = self.0.send(Seen::Answered(body));
    }
}

/// A server whose thread can be held, with two clients that were served before.
struct Server {
    address: SocketAddr,
    held: mpsc::Receiver<()>,
    go: mpsc::Sender<()>,
    seen: mpsc::Receiver<Seen>,
    holder: TcpStream,
    other: TcpStream,
}

impl Server {
    fn start() -> Self {
        let port = TcpPort::open("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = port.local_addr().unwrap();
        let (held, (go, going), (tell, seen)) = (mpsc::channel(), mpsc::channel(), mpsc::channel());
        let service = Arc::new(Echo {
            held: held.0,
            go: Mutex::new(going),
            wake: Notify::new(),
        });
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            let listeners = vec![Listener::tcp(port)];
            runtime.block_on(serve(listeners, service, Arc::new(Told(tell))))
        });
        let established = || {
            let mut stream = TcpStream::connect(address).unwrap();
            ask(&mut stream, "/before");
            let mut answer = [0; 1024];
            assert_ne!(stream.read(&mut answer).unwrap(), 0);
            stream
        };
        let (holder, other) = (established(), established());
        let server = Self {
            address,
            held: held.1,
            go,
            seen,
            holder,
            other,
        };
        for _ in 0..2 {
            server.until(&Seen::Answered("/before".into()));
        }
        server
    }

    fn connect(&self, count: usize) -> Vec<TcpStream> {
        let connect = |_| TcpStream::connect(self.address).unwrap();
        let all = (0..count).map(connect).collect();
        for _ in 0..count {
            self.until(&Seen::Connected);
        }
        all
    }

    /// Waits until this was seen; returns how many answers were, before.
    fn until(&self, what: &Seen) -> usize {
        let all = std::iter::repeat_with(|| self.seen.recv().unwrap());
        all.take_while(|seen| seen != what)
            .filter(|seen| matches!(seen, Seen::Answered(_)))
            .count()
    }

    /// Has requests come while the thread is held, and then one of the other client. Returns how
    /// many were answered before that.
    fn answered_before(&mut self, requests: impl FnOnce()) -> usize {
        ask(&mut self.holder, "/hold");
        self.held.recv().unwrap();
        requests();
        ask(&mut self.other, "/other");
        self.go.send(()).unwrap();
        self.until(&Seen::Answered("/hold".into()));
        self.until(&Seen::Answered("/other".into()))
    }
}

fn ask(stream: &mut TcpStream, path: &str) {
    let request = format!("GET {path} HTTP/1.1\r\nHost: m\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
}

#[test]
fn many_first_requests_let_a_client_go_before_that_was_served() {
    let tries = || {
        let mut server = Server::start();
        let mut crowd = server.connect(MANY);
        let ask_all = || crowd.iter_mut().for_each(|one| ask(one, "/crowd"));
        let before = server.answered_before(ask_all);
        for one in &mut crowd {
            assert_ne!(one.read(&mut [0; 1024]).unwrap(), 0);
        }
        before
    };
    let before = std::iter::repeat_with(tries).take(TRIES);
    let mut seen = Vec::new();
    let found = before
        .inspect(|before| seen.push(*before))
        .any(|before| before < 20);
    assert!(found, "of {MANY}: {seen:?}");
}

#[test]
fn many_bodies_that_come_late_let_a_client_go_before_that_was_served() {
    const HEAD: &[u8] = b"POST /crowd HTTP/1.1\r\nHost: m\r\nContent-Length: 4\r\n\r\n";
    let tries = || {
        let mut server = Server::start();
        let mut crowd = server.connect(MANY);
        for one in &mut crowd {
            one.write_all(HEAD).unwrap();
        }
        // Then the heads are read: what is asked later is answered.
        ask(&mut server.other, "/before");
        server.until(&Seen::Answered("/before".into()));
        let send_all = || {
            for one in &mut crowd {
                one.write_all(b"body").unwrap();
            }
        };
        let before = server.answered_before(send_all);
        for one in &mut crowd {
            assert_ne!(one.read(&mut [0; 1024]).unwrap(), 0);
        }
        before
    };
    let seen: Vec<usize> = std::iter::repeat_with(tries).take(TRIES).collect();
    let least = seen.iter().min().unwrap();
    assert!(*least < 20, "of {MANY}: {seen:?}");
}

#[test]
fn requests_in_one_piece_are_answered_one_by_one() {
    let mut server = Server::start();
    let mut one = server.connect(1).remove(0);
    let before = server.answered_before(|| {
        let all = "GET /piped HTTP/1.1\r\nHost: m\r\n\r\n".repeat(MANY);
        one.write_all(all.as_bytes()).unwrap();
    });
    assert!(before < 8, "{before} of {MANY}");
    for _ in 1..MANY - before {
        server.until(&Seen::Answered("/piped".into()));
    }
}

#[test]
fn many_who_wait_for_a_change_let_others_go_between() {
    let mut server = Server::start();
    let mut crowd = server.connect(MANY);
    for one in &mut crowd {
        ask(one, "/wait");
        server.until(&Seen::Arrived);
    }
    let before = server.answered_before(|| {});
    assert!(before < 120, "{before} of {MANY}");
    for one in &mut crowd {
        assert_ne!(one.read(&mut [0; 1024]).unwrap(), 0);
    }
}
