//! The directory of one process in `/proc` (proc(5)), and whether the process holds a socket.
//!
//! It is read through a descriptor of its own: once the process has ended, reading fails, even if
//! another process has its id.

use std::{
    ffi::OsStr,
    fs::File,
    io::{self, Read as _},
    os::{
        fd::{AsFd, OwnedFd},
        unix::ffi::OsStrExt as _,
    },
    path::PathBuf,
};

use rustix::{
    fs::{CWD, Dir, Mode, OFlags, open, openat, readlinkat},
    io::Errno,
};

use super::socket_owner::SocketOwner;

/// More than any file here is long.
const MOST: u64 = 64 * 1024;

/// The directory of a process in `/proc`.
#[derive(Debug)]
pub struct ProcessDirectory {
    pid: u32,
    directory: OwnedFd,
}

impl ProcessDirectory {
    /// Opens the directory of a process; `None` if there is no such process.
    #[must_use]
    pub fn open(pid: u32) -> Option<Self> {
        let flags = OFlags::DIRECTORY | OFlags::PATH | OFlags::CLOEXEC;
        let directory = open(format!("/proc/{pid}"), flags, Mode::empty()).ok()?;
        Some(Self { pid, directory })
    }

    /// Opens the directories of all processes, one after the other. The one with the highest id
    /// comes first: a short-lived process may be gone soon.
    pub fn all() -> impl Iterator<Item = Self> {
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
        let entries = openat(CWD, "/proc", flags, Mode::empty()).and_then(Dir::read_from);
        let pid = |entry: Result<rustix::fs::DirEntry, Errno>| {
            entry.ok()?.file_name().to_str().ok()?.parse().ok()
        };
        let mut pids: Vec<u32> = entries.into_iter().flatten().filter_map(pid).collect();
        pids.sort_unstable();
        pids.into_iter().rev().filter_map(Self::open)
    }

    /// Returns the id of the process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Returns whether a descriptor of the process is the socket.
    ///
    /// # Errors
    ///
    /// When the descriptors can't be read, of kind `PermissionDenied` for want of a privilege:
    /// those of another user's process need `CAP_SYS_PTRACE`, and so do those of an own process
    /// that forbids it (`PR_SET_DUMPABLE`) or has more capabilities.
    pub fn holds(&self, socket: SocketOwner) -> io::Result<bool> {
        let link = format!("socket:[{}]", socket.inode);
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
        let descriptors = openat(&self.directory, "fd", flags, Mode::empty())?;
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
                Ok(path) if path.to_bytes() == link.as_bytes() => return Ok(true),
                Ok(path) => target = path.into_bytes(),
                Err(errno) => {
                    if matches!(errno, Errno::ACCESS | Errno::PERM) {
                        refused = Some(errno);
                    }
                    target = Vec::new();
                }
            }
        }
        refused.map_or(Ok(false), |errno| Err(errno.into()))
    }

    /// Returns where a link in the directory leads, such as `exe`.
    ///
    /// # Errors
    ///
    /// As the kernel refuses it.
    pub fn link(&self, name: &str) -> io::Result<PathBuf> {
        let target = readlinkat(&self.directory, name, Vec::new())?;
        Ok(OsStr::from_bytes(target.to_bytes()).into())
    }

    /// Returns the beginning of a file in the directory, as text.
    ///
    /// # Errors
    ///
    /// As the kernel refuses it.
    pub fn text(&self, name: &str) -> io::Result<String> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let file = openat(self.directory.as_fd(), name, flags, Mode::empty())?;
        let mut bytes = Vec::new();
        File::from(file).take(MOST).read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn the_process_that_holds_a_socket_is_found() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (server, peer) = listener.accept().unwrap();
        let owner = SocketOwner::find(peer, server.local_addr().unwrap());
        let owner = owner.unwrap().unwrap();
        let own = std::process::id();
        let holders = || {
            let holds = |it: &ProcessDirectory| it.holds(owner).unwrap_or(false);
            let found = ProcessDirectory::all().filter(holds);
            found.map(|it| it.pid()).collect::<Vec<_>>()
        };
        assert_eq!(holders(), [own]);
        drop(client);
        assert_eq!(holders(), [0; 0]);
        let files = ProcessDirectory::open(own).unwrap();
        assert_eq!(files.link("exe").unwrap(), std::env::current_exe().unwrap());
        assert!(files.text("comm").unwrap().ends_with('\n'));
        // No program that this one starts has it.
        let flags = rustix::io::fcntl_getfd(&files.directory).unwrap();
        assert!(flags.contains(rustix::io::FdFlags::CLOEXEC));
    }

    #[test]
    fn the_files_of_a_process_that_ended_are_not_anothers() {
        let mut child = std::process::Command::new("sleep")
            .arg("60")
            .spawn()
            .unwrap();
        let files = ProcessDirectory::open(child.id()).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(files.link("exe").is_err() && files.text("cgroup").is_err());
        assert!(files.holds(SocketOwner { uid: 0, inode: 1 }).is_err());
        assert!(ProcessDirectory::open(child.id()).is_none());
    }
}
