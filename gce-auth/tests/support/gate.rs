//! A port in front of an emulator that can be shut, so that the emulator behind
//! it may die and another take its place; and that sees which tokens pass.

use std::{
    collections::HashSet,
    io::{Read, Write},
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    thread::{self, JoinHandle},
};

/// Ports below those that a system gives to those who ask for any.
const FIRST: u16 = 20_000;
const LAST: u16 = 32_000;

#[derive(Debug)]
pub(crate) struct Gate {
    address: SocketAddr,
    seen: Seen,
    open: Option<Open>,
}

/// The access and ID tokens that came through a gate.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen(Arc<Mutex<HashSet<String>>>);

impl Seen {
    pub(crate) fn has(&self, token: &str) -> bool {
        lock(&self.0).contains(token)
    }

    pub(crate) fn count(&self) -> usize {
        lock(&self.0).len()
    }

    /// Remembers whatever looks like a token in what a server sent.
    fn note(&self, sent: &[u8]) {
        let text = String::from_utf8_lossy(sent);
        let is_part = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        let words = text.split(|c| !is_part(c));
        let found = words.filter(|word| word.starts_with("ya29.") || word.starts_with("eyJ"));
        lock(&self.0).extend(found.map(str::to_owned));
    }
}

/// Somebody listens.
#[derive(Debug)]
struct Open {
    stopped: Arc<AtomicBool>,
    streams: Arc<Mutex<Vec<TcpStream>>>,
    thread: JoinHandle<()>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Gate {
    /// A gate that is shut, at a port that nobody has. No system gives it to
    /// anybody while it is shut, and no client can connect to itself there.
    pub(crate) fn new(seed: u64) -> Self {
        let span = u64::from(LAST - FIRST);
        let port = |n: u64| FIRST + u16::try_from((seed.wrapping_add(n * 7)) % span).unwrap();
        let address = (0..span)
            .map(|n| SocketAddr::from((Ipv4Addr::LOCALHOST, port(n))))
            .find(|address| TcpListener::bind(address).is_ok())
            .unwrap();
        Self {
            address,
            seen: Seen::default(),
            open: None,
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn seen(&self) -> Seen {
        self.seen.clone()
    }

    /// Lets everybody through to `server`.
    pub(crate) fn open(&mut self, server: SocketAddr) {
        self.shut();
        let listener = TcpListener::bind(self.address).unwrap();
        let stopped = Arc::new(AtomicBool::new(false));
        let streams = Arc::new(Mutex::new(Vec::new()));
        let thread = thread::spawn({
            let (stopped, streams) = (Arc::clone(&stopped), Arc::clone(&streams));
            let seen = self.seen.clone();
            move || {
                let mut pumps = Vec::new();
                for client in listener.incoming() {
                    if stopped.load(SeqCst) {
                        break;
                    }
                    let Ok(client) = client else { continue };
                    pumps.extend(join(&client, server, &streams, &seen));
                }
                drop(listener);
                cut_all(&streams);
                for pump in pumps {
                    let _ = pump.join();
                }
            }
        });
        self.open = Some(Open {
            stopped,
            streams,
            thread,
        });
    }

    /// Lets nobody through: the port is free, all connections are cut.
    pub(crate) fn shut(&mut self) {
        if let Some(open) = self.open.take() {
            open.stopped.store(true, SeqCst);
            cut_all(&open.streams);
            let _ = TcpStream::connect(self.address);
            let _ = open.thread.join();
        }
    }

    /// Cuts all connections, and lets new ones through.
    pub(crate) fn cut(&self) {
        if let Some(open) = &self.open {
            cut_all(&open.streams);
        }
    }
}

fn cut_all(streams: &Mutex<Vec<TcpStream>>) {
    for stream in lock(streams).drain(..) {
        let _ = stream.shutdown(Shutdown::Both);
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.shut();
    }
}

/// Carries bytes both ways, on two threads.
fn join(
    client: &TcpStream,
    server: SocketAddr,
    streams: &Mutex<Vec<TcpStream>>,
    seen: &Seen,
) -> Vec<JoinHandle<()>> {
    let Ok(server) = TcpStream::connect(server) else {
        return Vec::new();
    };
    let clones = || Some((client.try_clone().ok()?, server.try_clone().ok()?));
    let (Some(kept), Some(up), Some(down)) = (clones(), clones(), clones()) else {
        return Vec::new();
    };
    lock(streams).extend([kept.0, kept.1]);
    let seen = seen.clone();
    let ways: [Box<dyn FnOnce() + Send>; 2] = [
        Box::new(move || pump(up.0, up.1, |_| {})),
        Box::new(move || {
            let mut sent = Vec::new();
            pump(down.1, down.0, move |bytes| {
                sent.extend_from_slice(bytes);
                seen.note(&sent);
            });
        }),
    ];
    ways.map(thread::spawn).into()
}

fn pump(mut from: TcpStream, mut to: TcpStream, mut see: impl FnMut(&[u8])) {
    let mut bytes = [0; 8192];
    while let Ok(count @ 1..) = from.read(&mut bytes) {
        // Before it is passed on, so that nobody has it who was not seen.
        see(&bytes[..count]);
        if to.write_all(&bytes[..count]).is_err() {
            break;
        }
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}
