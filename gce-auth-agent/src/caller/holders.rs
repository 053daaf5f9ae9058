//! The processes that hold a socket: those with a descriptor that links to its inode.

use gce_auth_server::listen::SocketOwner;
use rustix::{
    fs::{CWD, Dir, Mode, OFlags, openat, readlinkat},
    io::Errno,
};

use super::{Process, process_files::ProcessFiles};

/// The processes that hold a socket.
#[derive(Debug, Default)]
pub(super) struct Holders {
    pub(super) found: Vec<Process>,
    /// Where some were found: processes of the owner whose descriptors can't be read. Each may
    /// hold the socket as well.
    pub(super) hidden: Vec<Process>,
}

/// Returns the processes that hold a socket, as far as their descriptors can be read: root's with
/// `CAP_SYS_PTRACE` alone, and those of processes of the own user unless they forbid it
/// (`PR_SET_DUMPABLE`) or have more capabilities.
pub(super) fn find(owner: SocketOwner, parent: Option<u32>) -> Holders {
    let link = format!("socket:[{}]", owner.inode);
    let holds = |files: &ProcessFiles| holds(files, link.as_bytes());
    let mut found = Vec::new();
    let mut closed = Vec::new();
    for files in all().into_iter().filter_map(ProcessFiles::open) {
        match holds(&files) {
            Ok(true) => {
                let process = files.read(parent);
                // It may have let go of the socket meanwhile, and run another program.
                if holds(&files) == Ok(true) {
                    found.push(process);
                }
            }
            Err(Errno::ACCESS | Errno::PERM) => closed.push(files.pid),
            _ => {}
        }
    }
    if found.is_empty() {
        return Holders::default();
    }
    let hidden = closed.into_iter().filter_map(ProcessFiles::open);
    let hidden = hidden
        .filter(|files| files.uid() == Some(owner.uid))
        .map(|files| files.read(parent))
        // Under `exec --agent`, only those that descend from its child are served.
        .filter(|process| parent.is_none() || process.descends);
    Holders {
        hidden: hidden.collect(),
        found,
    }
}

fn holds(files: &ProcessFiles, link: &[u8]) -> Result<bool, Errno> {
    let descriptors = files.descriptors()?;
    let mut target = Vec::with_capacity(64);
    let mut refused = None;
    for entry in Dir::read_from(&descriptors)? {
        let Ok(entry) = entry else {
            break; // the process has ended
        };
        let name = entry.file_name();
        if !name.to_bytes().first().is_some_and(u8::is_ascii_digit) {
            continue;
        }
        match readlinkat(&descriptors, name, target) {
            Ok(path) if path.to_bytes() == link => return Ok(true),
            Ok(path) => target = path.into_bytes(),
            Err(errno) => {
                if matches!(errno, Errno::ACCESS | Errno::PERM) {
                    refused = Some(errno);
                }
                target = Vec::new();
            }
        }
    }
    refused.map_or(Ok(false), Err)
}

/// The ids of all processes.
fn all() -> Vec<u32> {
    let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
    let entries = openat(CWD, "/proc", flags, Mode::empty()).and_then(Dir::read_from);
    entries.map_or_else(
        |_| Vec::new(),
        |entries| {
            entries
                .filter_map(|entry| entry.ok()?.file_name().to_str().ok()?.parse().ok())
                .collect()
        },
    )
}
