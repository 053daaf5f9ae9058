//! The files of one process in `/proc` (proc(5)).
//!
//! They are read through a descriptor of the process's directory, which belongs to this process
//! alone: once it has ended, reading fails, even if another process has its id.

use std::{
    ffi::OsStr,
    fs::File,
    io::Read as _,
    os::{
        fd::{AsFd, OwnedFd},
        unix::ffi::OsStrExt as _,
    },
    path::PathBuf,
};

use rustix::{
    fs::{Mode, OFlags, open, openat, readlinkat},
    io::Errno,
};

use super::{Fact, Process, cgroup};

/// More than any file here is long.
const MOST: u64 = 64 * 1024;
/// More than the ancestors of any process are.
const GENERATIONS: usize = 1024;

pub(super) struct ProcessFiles {
    pub(super) pid: u32,
    directory: OwnedFd,
}

impl ProcessFiles {
    /// Opens the directory of a process; `None` if there is no such process.
    pub(super) fn open(pid: u32) -> Option<Self> {
        let flags = OFlags::DIRECTORY | OFlags::PATH | OFlags::CLOEXEC;
        let directory = open(format!("/proc/{pid}"), flags, Mode::empty()).ok()?;
        Some(Self { pid, directory })
    }

    /// Opens the directory of the process's descriptors.
    pub(super) fn descriptors(&self) -> Result<OwnedFd, Errno> {
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
        openat(&self.directory, "fd", flags, Mode::empty())
    }

    /// Reads what rules may ask for.
    pub(super) fn read(&self, parent: Option<u32>) -> Process {
        let cgroups = match self.text("cgroup") {
            Some(text) => Fact::Known(cgroup::paths(&text)),
            None => Fact::Unreadable,
        };
        let known = match &cgroups {
            Fact::Known(paths) => paths.as_slice(),
            Fact::Unreadable => &[],
        };
        Process {
            pid: self.pid,
            gid: self.effective("Gid:").map_or(Fact::Unreadable, Fact::Known),
            exe: self.exe(),
            container: known
                .iter()
                .find_map(|path| cgroup::container(path))
                .map(str::to_owned),
            pod: known.iter().find_map(|path| cgroup::pod(path)),
            descends: parent.is_some_and(|parent| self.descends_from(parent)),
            cgroups,
        }
    }

    /// Returns the user of the process.
    pub(super) fn uid(&self) -> Option<u32> {
        self.effective("Uid:")
    }

    /// Where the program was replaced since, the kernel says so behind its path.
    fn exe(&self) -> Fact<PathBuf> {
        match readlinkat(&self.directory, "exe", Vec::new()) {
            Ok(path) => {
                let path = path.to_bytes();
                let path = path.strip_suffix(b" (deleted)").unwrap_or(path);
                Fact::Known(OsStr::from_bytes(path).into())
            }
            Err(_) => Fact::Unreadable,
        }
    }

    /// The second of the numbers behind a name in `status`: real, effective, saved, file system.
    fn effective(&self, name: &str) -> Option<u32> {
        self.status(name, 1)
    }

    fn parent(&self) -> Option<u32> {
        self.status("PPid:", 0)
    }

    fn status(&self, name: &str, index: usize) -> Option<u32> {
        let status = self.text("status")?;
        let numbers = status.lines().find_map(|line| line.strip_prefix(name))?;
        numbers.split_ascii_whitespace().nth(index)?.parse().ok()
    }

    /// Walks up to a process. A parent is believed if the process still names it after the parent's
    /// own files were opened: until then no other process could have its id.
    fn descends_from(&self, ancestor: u32) -> bool {
        let Some(mut above) = self.parent() else {
            return false;
        };
        let mut child = None;
        for _ in 0..GENERATIONS {
            let Some(files) = Self::open(above) else {
                return false;
            };
            let named = child.as_ref().unwrap_or(self).parent();
            if named != Some(above) {
                return false;
            }
            if above == ancestor {
                return true;
            }
            let Some(next) = files.parent().filter(|next| *next > 0) else {
                return false;
            };
            (above, child) = (next, Some(files));
        }
        false
    }

    fn text(&self, name: &str) -> Option<String> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let file = openat(self.directory.as_fd(), name, flags, Mode::empty()).ok()?;
        let mut bytes = Vec::new();
        File::from(file).take(MOST).read_to_end(&mut bytes).ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }
}
