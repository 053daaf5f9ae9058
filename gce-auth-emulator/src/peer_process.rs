//! The process at the other end of a connection, where the kernel tells.

use std::{
    net::SocketAddr,
    sync::{Arc, OnceLock},
};

#[cfg(any(target_os = "linux", target_os = "android"))]
use gce_auth_server::listen::{ProcessDirectory, SocketOwner};
use gce_auth_server::service::{Connection, Peer};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::clock::Clock;

/// So many connections wait to be looked up at most. Others stay unknown.
const WAITING: usize = 64;

/// For each millisecond that a search took, so many pass before the next: searches take a fifth of
/// one processor at most, however many connections come.
const REST: u32 = 4;

/// A process that asked.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Process {
    /// Its number.
    pub pid: u32,
    /// The name of its program's file.
    pub name: String,
    /// Its user.
    pub uid: u32,
}

/// The other end of a connection. Its process is found a moment after the connection came.
#[derive(Debug, Default)]
pub(crate) struct Client {
    /// `None` for a Unix socket.
    pub(crate) address: Option<SocketAddr>,
    process: OnceLock<Process>,
}

impl Client {
    pub(crate) fn process(&self) -> Option<&Process> {
        self.process.get()
    }
}

impl Process {
    pub(crate) fn to_json(&self) -> Value {
        json!({"pid": self.pid, "name": self.name, "uid": self.uid})
    }
}

/// Looks for the processes of connections, one after the other.
#[derive(Debug)]
pub(crate) struct Search {
    waiting: Arc<Semaphore>,
    turn: Arc<Semaphore>,
}

impl Default for Search {
    fn default() -> Self {
        Self {
            waiting: Arc::new(Semaphore::new(WAITING)),
            turn: Arc::new(Semaphore::new(1)),
        }
    }
}

impl Search {
    /// Returns the other end of a connection, and looks for its process meanwhile.
    pub(crate) fn begin(&self, connection: &Connection) -> Arc<Client> {
        match connection.peer {
            Peer::Unix { pid, uid, .. } => {
                let client = Client::default();
                let found = pid
                    .and_then(|pid| u32::try_from(pid).ok())
                    .zip(uid)
                    .and_then(|(pid, uid)| by_id(pid, uid));
                if let Some(process) = found.filter(|_| !connection.process.is_gone()) {
                    let _ = client.process.set(process);
                }
                Arc::new(client)
            }
            Peer::Tcp { peer, local } => {
                let client = Arc::new(Client {
                    address: Some(peer),
                    process: OnceLock::new(),
                });
                if connection.is_local() {
                    self.look_up(&client, peer, local);
                }
                client
            }
        }
    }

    fn look_up(&self, client: &Arc<Client>, peer: SocketAddr, local: SocketAddr) {
        let Ok(place) = Arc::clone(&self.waiting).try_acquire_owned() else {
            return;
        };
        let (client, turn) = (Arc::clone(client), Arc::clone(&self.turn));
        tokio::spawn(async move {
            let _place = place;
            let Ok(_turn) = turn.acquire().await else {
                return;
            };
            let began = Clock::lap();
            let search = tokio::task::spawn_blocking(move || {
                if let Some(process) = find(peer, local) {
                    let _ = client.process.set(process);
                }
            });
            let _ = search.await;
            tokio::time::sleep(began.elapsed() * REST).await;
        });
    }
}

/// The process that holds the socket.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn find(peer: SocketAddr, local: SocketAddr) -> Option<Process> {
    let owner = SocketOwner::find(peer, local).ok()??;
    let holds = |process: &ProcessDirectory| process.holds(owner).unwrap_or(false);
    named(&ProcessDirectory::all().find(holds)?, owner.uid)
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn by_id(pid: u32, uid: u32) -> Option<Process> {
    named(&ProcessDirectory::open(pid)?, uid)
}

/// Not its arguments: there may be secrets among them.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn named(process: &ProcessDirectory, uid: u32) -> Option<Process> {
    let program = process.link("exe").ok();
    let name = program
        .as_deref()
        .and_then(std::path::Path::file_name)
        .map(|name| name.to_string_lossy().into_owned())
        .or_else(|| Some(process.text("comm").ok()?.trim_end().to_owned()))?;
    let pid = process.pid();
    Some(Process { pid, name, uid })
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn find(_: SocketAddr, _: SocketAddr) -> Option<Process> {
    None
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn by_id(_: u32, _: u32) -> Option<Process> {
    None
}
