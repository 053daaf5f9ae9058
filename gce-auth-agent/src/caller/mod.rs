//! Which process opened a connection.
//!
//! Everything here comes from the kernel. A connection is looked up once, before a byte of it is
//! read, and belongs to that caller as long as it is open.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use gce_auth_server::service::{Connection, Peer};

/// The caller of a connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Caller {
    /// The name of the listener; empty for one without a name.
    pub listener: Arc<str>,
    /// The source address, of TCP connections.
    pub address: Option<IpAddr>,
    /// Whether the address is one of this network namespace's loopback interface, or the
    /// connection came through a Unix socket. Only then `uid` and `processes` are looked for.
    pub local: bool,
    /// The user that owns the socket. `None` if the caller is unknown: in another network
    /// namespace, or gone before it was looked up.
    pub uid: Option<u32>,
    /// The processes that hold the socket: of a Unix socket always the one that connected, of a TCP
    /// socket none if the rules don't need them.
    pub processes: Vec<Process>,
}

/// A process that holds the caller's end of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// The process id.
    pub pid: u32,
    /// The group of the process, not a supplementary one.
    pub gid: Fact<u32>,
    /// The executable, as `/proc/PID/exe` links to it.
    pub exe: Fact<PathBuf>,
    /// The paths in `/proc/PID/cgroup`.
    pub cgroups: Fact<Vec<String>>,
    /// The id of the container, from the cgroup. `None` outside of containers.
    pub container: Option<String>,
    /// The uid of the Kubernetes pod, from the cgroup. `None` outside of pods.
    pub pod: Option<String>,
    /// Whether it descends from the program of `exec --agent`.
    pub descends: bool,
}

/// What the kernel says of a process, or that it does not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact<T> {
    /// The kernel says this.
    Known(T),
    /// It can't be read for want of a privilege. A rule that allows does not match; one that denies
    /// does.
    Unreadable,
}

/// What is looked up for each connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lookup {
    /// Whether the rules need the processes of loopback TCP callers, beyond their user. The search
    /// reads `/proc` for all processes of that user.
    pub processes: bool,
    /// The program of `exec --agent`. Callers that don't descend from it are unknown.
    pub program: Option<u32>,
}

/// Looks the caller of a connection up. Never fails: a caller that can't be found is unknown.
///
/// May read `/proc` for some milliseconds if [`Lookup::processes`] is set.
pub fn identify(connection: &Connection, _lookup: &Lookup) -> Caller {
    let (address, uid) = match &connection.peer {
        Peer::Tcp { peer, .. } => (Some(peer.ip().to_canonical()), None),
        Peer::Unix { uid, .. } => (None, *uid),
    };
    Caller {
        listener: Arc::clone(&connection.listener),
        address,
        local: connection.is_local(),
        uid,
        processes: Vec::new(),
    }
}
