//! The process that connected through a Unix socket.
//!
//! The id that the kernel tells of it (`SO_PEERCRED`, unix(7)) may belong to another process by the
//! time it is used. Since Linux 6.5 the kernel also gives a descriptor of the process itself
//! (`SO_PEERPIDFD`), which says whether it still lives.

#[cfg(unix)]
use std::os::fd::{AsFd, OwnedFd};
#[cfg(unix)]
use std::sync::Arc;

/// What is known of the process that connected.
#[derive(Clone, Debug, Default)]
pub enum PeerProcess {
    /// Nothing beyond its id: not a Unix socket, or the kernel has no descriptors of processes.
    #[default]
    Unknown,
    /// It had ended when its connection was accepted. Its id may be another's.
    Gone,
    /// Its descriptor.
    #[cfg(unix)]
    Held(Arc<OwnedFd>),
}

impl PeerProcess {
    #[cfg(target_os = "linux")]
    pub(crate) fn of(socket: &impl AsFd) -> Self {
        use nix::{
            errno::Errno,
            sys::socket::{getsockopt, sockopt::PeerPidfd},
        };

        match getsockopt(socket, PeerPidfd) {
            Ok(descriptor) => Self::Held(Arc::new(descriptor)),
            Err(Errno::ENOPROTOOPT) => Self::Unknown,
            // The process is gone, or no descriptor of it can be had.
            Err(_) => Self::Gone,
        }
    }

    #[cfg(all(unix, not(target_os = "linux")))]
    pub(crate) fn of(_: &impl AsFd) -> Self {
        Self::Unknown
    }

    /// Returns whether the process has ended, as far as that is known. As long as it has not, its
    /// id is its own.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        match self {
            Self::Unknown => false,
            Self::Gone => true,
            #[cfg(unix)]
            Self::Held(descriptor) => has_ended(descriptor),
        }
    }
}

/// The descriptor of a process becomes readable when the process ends (pidfd_open(2)).
#[cfg(unix)]
fn has_ended(descriptor: &OwnedFd) -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    let at_once = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    let mut watched = [PollFd::new(descriptor, PollFlags::IN)];
    poll(&mut watched, Some(&at_once)) != Ok(0)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::{
        os::unix::net::{UnixListener, UnixStream},
        process::Command,
    };

    use super::*;

    #[test]
    fn a_process_is_gone_once_it_has_ended() {
        let path = std::env::temp_dir().join(format!("gce-auth-peer-{}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        let listener = UnixListener::bind(&path).unwrap();
        let script = "import socket, sys; s = socket.socket(socket.AF_UNIX); \
                      s.connect(sys.argv[1]); sys.stdin.read()";
        let mut child = Command::new("python3")
            .args(["-c", script])
            .arg(&path)
            .stdin(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let (stream, _) = listener.accept().unwrap();
        let process = PeerProcess::of(&stream);
        assert!(!process.is_gone());
        drop(child.stdin.take());
        child.wait().unwrap();
        std::fs::remove_file(&path).unwrap();
        // Linux before 6.5 does not tell, but for a kernel that took it over.
        if tells() || !matches!(process, PeerProcess::Unknown) {
            assert!(process.is_gone());
            assert!(PeerProcess::of(&stream).is_gone());
        }
    }

    fn tells() -> bool {
        let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let mut numbers = release.split('.').map(|it| it.parse::<u32>().unwrap_or(0));
        (numbers.next(), numbers.next()) >= (Some(6), Some(5))
    }

    #[test]
    fn this_process_lives() {
        let (one, _other) = UnixStream::pair().unwrap();
        let process = PeerProcess::of(&one);
        assert!(!process.is_gone());
        assert!(!tells() || matches!(process, PeerProcess::Held(_)));
    }
}
