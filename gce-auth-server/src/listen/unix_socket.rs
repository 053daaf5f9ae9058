//! Unix sockets, and their files.

use std::io;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;

use tokio::net::UnixSocket;

use super::BACKLOG;

/// A bound Unix socket.
#[derive(Debug)]
pub struct UnixPort(State);

#[derive(Debug)]
enum State {
    Open(UnixListener),
    /// Nobody listens: the system refuses connections.
    Closed(UnixSocket),
}

impl UnixPort {
    /// Takes a listener that was bound elsewhere, as systemd does for a service.
    ///
    /// # Errors
    ///
    /// When it cannot be made non-blocking.
    pub fn from_listener(listener: UnixListener) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        rustix::net::listen(&listener, BACKLOG)?;
        Ok(Self(State::Open(listener)))
    }

    /// Listens, inside a runtime.
    pub(crate) fn listen(self) -> io::Result<tokio::net::UnixListener> {
        match self.0 {
            State::Open(listener) => tokio::net::UnixListener::from_std(listener),
            State::Closed(socket) => socket.listen(BACKLOG.unsigned_abs()),
        }
    }
}

/// The file of a Unix socket, removed when it is dropped.
#[derive(Debug)]
pub struct SocketFile(PathBuf);

impl SocketFile {
    /// Binds a socket to a path.
    ///
    /// # Errors
    ///
    /// When there is a file, or none can be made.
    pub fn bind(path: PathBuf, closed: bool) -> io::Result<(Self, UnixPort)> {
        if closed {
            let socket = UnixSocket::new_stream()?;
            socket.bind(&path)?;
            return Ok((Self(path), UnixPort(State::Closed(socket))));
        }
        let listener = UnixListener::bind(&path)?;
        let file = Self(path);
        Ok((file, UnixPort::from_listener(listener)?))
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}
