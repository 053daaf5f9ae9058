//! The processes that hold a socket.

use std::io::ErrorKind;

use gce_auth_server::listen::{ProcessDirectory, SocketOwner};

use super::{Process, process_files::ProcessFiles};

/// The first process of a machine, which runs as root. Some kernels hide from all others what it
/// holds, and it holds no connection that another process opened.
const INIT: (u32, Option<u32>) = (1, Some(0));

/// The processes that hold a socket.
#[derive(Debug, Default)]
pub(super) struct Holders {
    pub(super) found: Vec<Process>,
    /// Where some were found: processes of the owner whose descriptors can't be read. Each may
    /// hold the socket as well.
    pub(super) hidden: Vec<Process>,
}

/// Returns the processes that hold a socket, as far as their descriptors can be read.
pub(super) fn find(owner: SocketOwner, parent: Option<u32>) -> Holders {
    let mut found = Vec::new();
    let mut closed = Vec::new();
    for directory in ProcessDirectory::all() {
        match directory.holds(owner) {
            Ok(true) => {
                let files = ProcessFiles(directory);
                let process = files.read(parent);
                // It may have let go of the socket meanwhile, and run another program.
                if files.0.holds(owner).is_ok_and(|holds| holds) {
                    found.push(process);
                }
            }
            Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                closed.push(directory.pid());
            }
            _ => {}
        }
    }
    if found.is_empty() {
        return Holders::default();
    }
    let hidden = closed.into_iter().filter_map(ProcessFiles::open);
    let hidden = hidden
        .filter(|files| (files.0.pid(), files.uid()) != INIT)
        .filter(|files| files.uid() == Some(owner.uid))
        .map(|files| files.read(parent))
        // Under `exec --agent`, only those that descend from its child are served.
        .filter(|process| parent.is_none() || process.descends);
    Holders {
        hidden: hidden.collect(),
        found,
    }
}
