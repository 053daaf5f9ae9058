//! What the files of one process in `/proc` say of it (proc(5)).

use std::{
    path::{Path, PathBuf},
    sync::LazyLock,
};

use gce_auth_server::listen::{ProcessDirectory, known_group};

use super::{Fact, Process, cgroup};

/// More than the ancestors of any process are.
const GENERATIONS: usize = 1024;

/// The user namespace of this process, as the kernel names it. `None` if it has no such namespaces.
static USER_NAMESPACE: LazyLock<Option<PathBuf>> =
    LazyLock::new(|| std::fs::read_link("/proc/self/ns/user").ok());

/// The directory of a process, which belongs to this process alone.
pub(super) struct ProcessFiles(pub(super) ProcessDirectory);

impl ProcessFiles {
    /// Opens the directory of a process; `None` if there is no such process.
    pub(super) fn open(pid: u32) -> Option<Self> {
        ProcessDirectory::open(pid).map(Self)
    }

    /// Reads what rules may ask for.
    pub(super) fn read(&self, parent: Option<u32>) -> Process {
        let cgroups = match self.0.text("cgroup") {
            Ok(text) => Fact::Known(cgroup::paths(&text)),
            Err(_) => Fact::Unreadable,
        };
        let known = cgroups.said().map_or(&[][..], Vec::as_slice);
        Process {
            pid: self.0.pid(),
            gid: self
                .effective("Gid:")
                .and_then(known_group)
                .map_or(Fact::Unreadable, Fact::Known),
            exe: self.exe(),
            container: known
                .iter()
                .find_map(|path| cgroup::container(path))
                .map(str::to_owned),
            pod: known.iter().find_map(|path| cgroup::pod(path)),
            named_by_user: known.iter().any(|path| cgroup::is_named_by_user(path)),
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
        match self.0.link("exe") {
            Ok(path) => {
                let path = without_note(path);
                if self.is_in_own_user_namespace() {
                    Fact::Known(path)
                } else {
                    Fact::Claimed(path)
                }
            }
            Err(_) => Fact::Unreadable,
        }
    }

    fn is_in_own_user_namespace(&self) -> bool {
        let Some(own) = &*USER_NAMESPACE else {
            return true;
        };
        self.0.link("ns/user").is_ok_and(|link| link == *own)
    }

    /// The second of the numbers behind a name in `status`: real, effective, saved, file system.
    fn effective(&self, name: &str) -> Option<u32> {
        self.status(name, 1)
    }

    fn parent(&self) -> Option<u32> {
        self.status("PPid:", 0)
    }

    fn status(&self, name: &str, index: usize) -> Option<u32> {
        let status = self.0.text("status").ok()?;
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
}

fn without_note(path: PathBuf) -> PathBuf {
    use std::os::unix::ffi::OsStrExt as _;
    let bytes = path.as_os_str().as_bytes();
    match bytes.strip_suffix(b" (deleted)") {
        Some(bare) => Path::new(std::ffi::OsStr::from_bytes(bare)).to_owned(),
        None => path,
    }
}
