//! Which process opened a connection.
//!
//! Everything here comes from the kernel. A connection is looked up once, before a byte of it is
//! read, and belongs to that caller as long as it is open. What can't be found out is unknown: no
//! process is taken for another that has, or had, its id or its port.

pub mod cgroup;
#[cfg(target_os = "linux")]
mod holders;
#[cfg(target_os = "linux")]
mod process_files;

use std::{net::IpAddr, path::PathBuf, sync::Arc};

use gce_auth_server::{
    listen::{PeerProcess, SocketOwner},
    service::{Connection, Peer},
};

#[cfg(target_os = "linux")]
use self::process_files::ProcessFiles;

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
    /// namespace, gone before it was looked up, or a user that the agent's user namespace does not
    /// map.
    pub uid: Option<u32>,
    /// The processes that hold the socket. Empty if the rules don't need them, or none was found.
    pub processes: Vec<Process>,
    /// Processes of the same user whose descriptors can't be read, beside `processes`: each may
    /// hold the socket as well. Rules that deny fit if they may fit one of these.
    pub hidden: Vec<Process>,
    /// Whether something that the rules need can't be read for want of a privilege
    /// (`CAP_SYS_PTRACE` and `CAP_DAC_READ_SEARCH`).
    pub unreadable: bool,
}

/// A process that holds the caller's end of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// The process id.
    pub pid: u32,
    /// The group of the process, not a supplementary one.
    pub gid: Fact<u32>,
    /// The executable, as `/proc/PID/exe` links to it. Claimed by a process in another user
    /// namespace than the agent's: a user who makes one mounts any file at any path in it.
    pub exe: Fact<PathBuf>,
    /// The paths in `/proc/PID/cgroup`.
    pub cgroups: Fact<Vec<String>>,
    /// The id of the container, from the cgroup. `None` outside of containers.
    pub container: Option<String>,
    /// The uid of the Kubernetes pod, from the cgroup. `None` outside of pods.
    pub pod: Option<String>,
    /// Whether the cgroup, and so the container and the pod, is below systemd's `user.slice`,
    /// where users name cgroups themselves.
    pub named_by_user: bool,
    /// Whether it descends from [`Lookup::parent`].
    pub descends: bool,
}

/// What the kernel says of a process, or that it does not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact<T> {
    /// The kernel says this.
    Known(T),
    /// The kernel says this, and the user of the process could choose it. Counts for rules that
    /// name the user.
    Claimed(T),
    /// It can't be read for want of a privilege. A rule that allows does not match; one that denies
    /// does.
    Unreadable,
}

/// What is looked up for each connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lookup {
    /// Whether the rules need the processes of the caller, beyond their user. For loopback TCP the
    /// search reads the descriptors of all processes in `/proc`.
    pub processes: bool,
    /// The process of `exec --agent`. Callers that don't descend from it are unknown.
    pub parent: Option<u32>,
}

impl Caller {
    /// Returns whether the caller is known: by its user, or by its address if it is elsewhere.
    pub fn is_known(&self) -> bool {
        !self.local || self.uid.is_some()
    }

    /// Returns whether all processes that hold the socket descend from [`Lookup::parent`].
    pub fn descends(&self) -> bool {
        self.is_known()
            && !self.processes.is_empty()
            && self.processes.iter().all(|process| process.descends)
    }

    /// Returns what is left of it if it can't be told who it is.
    pub(crate) fn unknown(mut self) -> Self {
        self.forget();
        self
    }

    fn forget(&mut self) {
        self.uid = None;
        self.processes.clear();
        self.hidden.clear();
        self.unreadable = false;
    }
}

/// Looks the caller of a connection up. Never fails: a caller that can't be found is unknown.
///
/// Reads `/proc` for some milliseconds if [`Lookup::processes`] is set.
pub fn identify(connection: &Connection, lookup: &Lookup) -> Caller {
    let mut caller = Caller {
        listener: Arc::clone(&connection.listener),
        local: connection.is_local(),
        ..Caller::default()
    };
    match connection.peer {
        Peer::Tcp { peer, local } => {
            caller.address = Some(peer.ip().to_canonical());
            if caller.local {
                let find = || SocketOwner::find(peer, local).ok().flatten();
                by_socket(&mut caller, lookup, find);
            }
        }
        Peer::Unix { uid, gid, pid } => {
            caller.uid = uid;
            if let Some(pid) = pid.and_then(|pid| u32::try_from(pid).ok()) {
                // Without a descriptor of the process, its id may be another's of the same user.
                let process = match connection.process {
                    PeerProcess::Unknown => Process::unread(pid),
                    // Also where no rule needs it yet: it can't be told later whose the id is.
                    _ => by_id(pid, lookup),
                };
                caller.unreadable = lookup.processes && process.exe == Fact::Unreadable;
                let gid = gid.map_or(Fact::Unreadable, Fact::Known);
                caller.processes.push(Process { gid, ..process });
            }
            // Its id may be another's by now, and what was read may be of that.
            if connection.process.is_gone() {
                caller.forget();
            }
        }
    }
    if lookup.parent.is_some() && !caller.descends() {
        caller.forget();
    }
    caller
}

/// Looks for the owner of the other end of a loopback connection, and for the processes that hold
/// it.
fn by_socket(caller: &mut Caller, lookup: &Lookup, find: impl Fn() -> Option<SocketOwner>) {
    let Some(owner) = find() else {
        return;
    };
    caller.uid = owner.user();
    if lookup.processes {
        #[cfg(target_os = "linux")]
        {
            let holders = holders::find(owner, lookup.parent);
            (caller.processes, caller.hidden) = (holders.found, holders.hidden);
        }
        caller.unreadable = caller.processes.is_empty() || !caller.hidden.is_empty();
        // A socket that was closed during the search may be no one's now.
        if find() != Some(owner) {
            caller.forget();
        }
    }
}

/// Reads the files of the process that connected to a Unix socket.
#[cfg(target_os = "linux")]
fn by_id(pid: u32, lookup: &Lookup) -> Process {
    ProcessFiles::open(pid).map_or_else(|| Process::unread(pid), |files| files.read(lookup.parent))
}

#[cfg(not(target_os = "linux"))]
fn by_id(pid: u32, _: &Lookup) -> Process {
    Process::unread(pid)
}

impl<T> Fact<T> {
    /// Returns what the kernel says, also where the user chose it.
    pub fn said(&self) -> Option<&T> {
        match self {
            Self::Known(said) | Self::Claimed(said) => Some(said),
            Self::Unreadable => None,
        }
    }
}

impl Process {
    fn unread(pid: u32) -> Self {
        Self {
            pid,
            gid: Fact::Unreadable,
            exe: Fact::Unreadable,
            cgroups: Fact::Unreadable,
            container: None,
            pod: None,
            named_by_user: false,
            descends: false,
        }
    }
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests;
