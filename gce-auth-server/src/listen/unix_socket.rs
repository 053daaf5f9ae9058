//! Unix sockets, and their files.
//!
//! Beside the file of a socket lies one of the same name with `.lock` behind it, locked (flock(2))
//! as long as its server lives. So a killed server differs from one that lives, even from
//! one that doesn't listen yet, and of two that start at once one fails.

use std::{
    fs::{self, File},
    io,
    os::unix::{
        fs::{FileTypeExt, MetadataExt, PermissionsExt},
        net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
};

use rustix::{
    fs::{FlockOperation, flock},
    net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, socket_with},
};

use super::backlog::BACKLOG;

/// The mode of a socket's file unless another is set: its owner may connect.
const MODE: u32 = 0o600;

/// A bound Unix socket.
#[derive(Debug)]
pub struct UnixPort(UnixListener);

impl UnixPort {
    /// Takes a listener that was bound elsewhere, as systemd does for a service.
    ///
    /// # Errors
    ///
    /// When it cannot be made non-blocking.
    pub fn from_listener(listener: UnixListener) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        Ok(Self(listener))
    }

    /// Returns the same socket once more. Each connection is accepted by one of the two.
    ///
    /// # Errors
    ///
    /// When descriptors ran out.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(Self(self.0.try_clone()?))
    }

    /// Lets clients connect. They are accepted once the socket is served; until this is called the
    /// system refuses them.
    ///
    /// # Errors
    ///
    /// When the system fails.
    pub fn open(&self) -> io::Result<()> {
        Ok(rustix::net::listen(&self.0, BACKLOG)?)
    }

    /// Listens, inside a runtime.
    pub(crate) fn listen(self) -> io::Result<tokio::net::UnixListener> {
        self.open()?;
        tokio::net::UnixListener::from_std(self.0)
    }
}

/// The file of a Unix socket. Dropped, it is removed, unless another server has put its own there
/// since.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    inode: (u64, u64),
    lock: PathBuf,
    /// Locked as long as this lives.
    locked: File,
}

impl SocketFile {
    /// Binds a socket to a path, with a mode that does not depend on the umask. Default: 0600. No
    /// client can connect before [`UnixPort::open`]. The file of a server that was killed is
    /// replaced.
    ///
    /// # Errors
    ///
    /// Of kind `AddrInUse` if a server lives there, or the file is no socket; else when no file can
    /// be made there.
    pub fn bind(path: PathBuf, mode: Option<u32>) -> io::Result<(Self, UnixPort)> {
        let mut lock = path.clone().into_os_string();
        lock.push(".lock");
        let lock = PathBuf::from(lock);
        let locked = hold(&lock)?;
        let bound = bind_unlisted(&path, mode.unwrap_or(MODE));
        match bound {
            Ok((listener, inode)) => {
                let file = Self {
                    path,
                    inode,
                    lock,
                    locked,
                };
                Ok((file, UnixPort::from_listener(listener)?))
            }
            Err(error) => {
                let _ = fs::remove_file(lock);
                Err(error)
            }
        }
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if inode(&self.path).is_ok_and(|inode| inode == self.inode) {
            let _ = fs::remove_file(&self.path);
        }
        if inode(&self.lock).ok()
            == self
                .locked
                .metadata()
                .ok()
                .map(|file| (file.dev(), file.ino()))
        {
            let _ = fs::remove_file(&self.lock);
        }
    }
}

fn inode(path: &Path) -> io::Result<(u64, u64)> {
    let file = fs::symlink_metadata(path)?;
    Ok((file.dev(), file.ino()))
}

/// Takes the lock of a socket's file, for as long as the result lives.
fn hold(path: &Path) -> io::Result<File> {
    loop {
        let file = File::options().create(true).append(true).open(path)?;
        file.set_permissions(fs::Permissions::from_mode(MODE))?;
        flock(&file, FlockOperation::NonBlockingLockExclusive)
            .map_err(|_| in_use("a server lives there"))?;
        // Its last holder may have removed it meanwhile.
        let here = file.metadata()?;
        if inode(path).is_ok_and(|there| there == (here.dev(), here.ino())) {
            return Ok(file);
        }
    }
}

/// A socket at a path, to which no client can connect yet, and its file's inode.
fn bind_unlisted(path: &Path, mode: u32) -> io::Result<(UnixListener, (u64, u64))> {
    match fs::symlink_metadata(path) {
        Ok(file) if !file.file_type().is_socket() => {
            return Err(in_use("the file there is no socket"));
        }
        Ok(_) if UnixStream::connect(path).is_ok() => return Err(in_use("a server lives there")),
        Ok(_) => fs::remove_file(path)?,
        Err(_) => {}
    }
    let flags = SocketFlags::CLOEXEC;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    bind(&socket, &SocketAddrUnix::new(path)?)?;
    fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
    Ok((UnixListener::from(socket), inode(path)?))
}

fn in_use(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::AddrInUse, why)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder that is gone at the end.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let name = format!("gce-auth-socket-{name}-{}", std::process::id());
            let folder = Self(std::env::temp_dir().join(name));
            fs::create_dir_all(&folder.0).unwrap();
            folder
        }

        fn files(&self) -> usize {
            fs::read_dir(&self.0).unwrap().count()
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o777
    }

    #[test]
    fn a_socket_is_its_owner_s_and_its_files_go_with_it() {
        let folder = Folder::new("own");
        let path = folder.0.join("s");
        let (file, port) = SocketFile::bind(path.clone(), None).unwrap();
        assert_eq!((mode(&path), mode(&folder.0.join("s.lock"))), (MODE, MODE));
        assert!(UnixStream::connect(&path).is_err(), "not open yet");
        port.open().unwrap();
        assert!(UnixStream::connect(&path).is_ok());
        drop((file, port));
        assert_eq!(folder.files(), 0);
        let (_file, _port) = SocketFile::bind(path.clone(), Some(0o666)).unwrap();
        assert_eq!(mode(&path), 0o666);
    }

    #[test]
    fn what_is_another_s_is_not_replaced() {
        let folder = Folder::new("taken");
        let refused = |path: &Path| {
            let error = SocketFile::bind(path.to_owned(), None).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::AddrInUse, "{error}");
        };
        let text = folder.0.join("text");
        fs::write(&text, "text").unwrap();
        refused(&text);
        assert_eq!(fs::read_to_string(&text).unwrap(), "text");
        // A server of this kind, which is not open yet, and one of another kind.
        let own = folder.0.join("own");
        let _own = SocketFile::bind(own.clone(), None).unwrap();
        refused(&own);
        let other = folder.0.join("other");
        let _other = UnixListener::bind(&other).unwrap();
        refused(&other);
        assert!(UnixStream::connect(&other).is_ok());
    }

    #[test]
    fn the_file_of_a_killed_server_is_replaced_and_that_of_a_successor_is_left() {
        let folder = Folder::new("left");
        let path = folder.0.join("s");
        drop(UnixListener::bind(&path).unwrap());
        let (file, _port) = SocketFile::bind(path.clone(), None).unwrap();
        fs::remove_file(&path).unwrap();
        let _successor = UnixListener::bind(&path).unwrap();
        drop(file);
        assert!(
            UnixStream::connect(&path).is_ok(),
            "its file is still there"
        );
    }
}
