//! The least that it takes, with the standard library alone: no retries, no
//! limits, no checks, one caller. It is not for use.

use std::{
    cell::RefCell,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::RwLock;

use crate::contestant::{Again, Contestant, Failure, Library};

const REQUEST: &[u8] =
    b"GET /computeMetadata/v1/instance/service-accounts/default/token HTTP/1.1\r\n\
    Host: metadata.google.internal\r\nMetadata-Flavor: Google\r\n\r\n";

thread_local! {
    static HELD: RefCell<Option<Held>> = const { RefCell::new(None) };
}

#[derive(Debug)]
struct Held {
    header: Arc<str>,
    until: Instant,
}

/// One server, and a connection to it.
#[derive(Debug)]
pub struct Floor {
    server: SocketAddr,
    connection: Mutex<Option<TcpStream>>,
}

impl Floor {
    /// To ask this server.
    pub fn new(server: SocketAddr) -> Self {
        Self {
            server,
            connection: Mutex::new(None),
        }
    }

    /// Asks the server; gives the header, and for how long it is good.
    ///
    /// # Errors
    /// Whatever goes wrong.
    pub fn fetch(&self) -> Result<(Arc<str>, Duration), Failure> {
        let mut kept = self
            .connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let mut stream = match kept.take() {
            Some(stream) => stream,
            None => {
                let stream = TcpStream::connect(self.server)?;
                stream.set_nodelay(true)?;
                stream
            }
        };
        stream.write_all(REQUEST)?;
        let mut answer = [0; 2048];
        let mut end = 0;
        // The server ends the body, and nothing else, with a brace.
        while end == 0 || answer[end - 1] != b'}' {
            let read = stream.read(&mut answer[end..])?;
            if read == 0 {
                return Err("cut short".into());
            }
            end += read;
        }
        let answer = str::from_utf8(&answer[..end])?;
        let after = |key: &str| answer.split_once(key).map(|(_, rest)| rest);
        let token = after("\"access_token\":\"").and_then(|rest| rest.split('"').next());
        let seconds = after("\"expires_in\":").and_then(|rest| rest.split([',', '}']).next());
        let (Some(token), Some(seconds)) = (token, seconds) else {
            return Err(answer.into());
        };
        *kept = Some(stream);
        Ok((
            format!("Bearer {token}").into(),
            Duration::from_secs(seconds.parse()?),
        ))
    }

    /// Takes something of the header that this thread holds.
    fn held<R>(&self, take: impl FnOnce(&Held) -> R) -> Result<R, Failure> {
        let mut take = Some(take);
        let taken = HELD.with_borrow(|held| {
            let held = held.as_ref().filter(|held| Instant::now() < held.until)?;
            take.take().map(|take| take(held))
        });
        match (taken, take) {
            (Some(taken), _) => Ok(taken),
            (None, Some(take)) => {
                let (header, life) = self.fetch()?;
                let until = Instant::now() + life;
                let held = Held { header, until };
                let taken = take(&held);
                HELD.set(Some(held));
                Ok(taken)
            }
            (None, None) => Err("taken, and nothing came of it".into()),
        }
    }
}

/// A header of the thread's own, looked at.
#[derive(Debug)]
pub struct Borrowed(Floor);

impl Contestant for Borrowed {
    const LIBRARY: Library = Library::Floor;
    const CALL: &'static str = "borrowed from a thread-local";
    const BLOCKS: bool = true;

    async fn new(server: SocketAddr) -> Result<Self, Failure> {
        HELD.set(None);
        Ok(Self(Floor::new(server)))
    }

    async fn with<R: Send>(&self, see: impl FnOnce(&[u8]) -> R + Send) -> Result<R, Failure> {
        self.0.held(|held| see(held.header.as_bytes()))
    }
}

/// No token, no clock, nothing: what the loop takes around those that do it.
#[derive(Debug)]
pub struct Nothing;

impl Contestant for Nothing {
    const LIBRARY: Library = Library::Floor;
    const CALL: &'static str = "nothing";
    const BLOCKS: bool = true;

    async fn new(_: SocketAddr) -> Result<Self, Failure> {
        Ok(Self)
    }

    async fn with<R: Send>(&self, see: impl FnOnce(&[u8]) -> R + Send) -> Result<R, Failure> {
        Ok(see(b"Bearer ya29.c."))
    }
}

/// A token fetched at each call, and kept nowhere.
#[derive(Debug)]
pub struct Fetched(Floor);

impl Contestant for Fetched {
    const LIBRARY: Library = Library::Floor;
    const CALL: &'static str = "a request over a plain socket";
    const BLOCKS: bool = true;
    const AGAIN: Option<Again> = Some(Again::Asked);

    async fn new(server: SocketAddr) -> Result<Self, Failure> {
        Ok(Self(Floor::new(server)))
    }

    async fn with<R: Send>(&self, see: impl FnOnce(&[u8]) -> R + Send) -> Result<R, Failure> {
        let (header, _) = self.0.fetch()?;
        Ok(see(header.as_bytes()))
    }
}

/// A reference of one's own to a header of the thread's own.
#[derive(Debug)]
pub struct Cloned(Floor);

impl Contestant for Cloned {
    const LIBRARY: Library = Library::Floor;
    const CALL: &'static str = "`Arc` cloned from a thread-local";
    const BLOCKS: bool = true;

    async fn new(server: SocketAddr) -> Result<Self, Failure> {
        HELD.set(None);
        Ok(Self(Floor::new(server)))
    }

    async fn with<R: Send>(&self, see: impl FnOnce(&[u8]) -> R + Send) -> Result<R, Failure> {
        let header = self.0.held(|held| Arc::clone(&held.header))?;
        Ok(see(header.as_bytes()))
    }
}

/// What tasks can wait for: one of them fetches, on a thread for what blocks,
/// and all others stand behind a lock of tokio's.
#[derive(Debug)]
pub struct Shared {
    floor: Arc<Floor>,
    held: RwLock<Option<Held>>,
}

impl Contestant for Shared {
    const LIBRARY: Library = Library::Floor;
    const CALL: &'static str = "`tokio::sync::RwLock`";

    async fn new(server: SocketAddr) -> Result<Self, Failure> {
        Ok(Self {
            floor: Arc::new(Floor::new(server)),
            held: RwLock::new(None),
        })
    }

    async fn with<R: Send>(&self, see: impl FnOnce(&[u8]) -> R + Send) -> Result<R, Failure> {
        let good = |held: &&Held| Instant::now() < held.until;
        if let Some(held) = self.held.read().await.as_ref().filter(good) {
            return Ok(see(held.header.as_bytes()));
        }
        let mut kept = self.held.write().await;
        if let Some(held) = kept.as_ref().filter(good) {
            return Ok(see(held.header.as_bytes()));
        }
        let floor = Arc::clone(&self.floor);
        let (header, life) = tokio::task::spawn_blocking(move || floor.fetch()).await??;
        let seen = see(header.as_bytes());
        let until = Instant::now() + life;
        *kept = Some(Held { header, until });
        Ok(seen)
    }
}
