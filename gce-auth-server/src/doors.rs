//! Where connections come in: a port, and if wanted a port with TLS and a Unix socket. Bound before anything is served.

use std::io;
use std::net::{SocketAddr, TcpListener};
#[cfg(unix)]
use std::os::unix::net::UnixListener;
#[cfg(unix)]
use std::path::PathBuf;
use std::sync::Arc;

use tokio::net::TcpSocket;
#[cfg(unix)]
use tokio::net::UnixSocket;

use crate::network::Guests;

/// Listeners that do not block, ready to be served.
pub(crate) struct Doors {
    pub(crate) tcp: Port,
    pub(crate) tls: Option<(Port, Arc<rustls::ServerConfig>)>,
    #[cfg(unix)]
    pub(crate) unix: Option<UnixDoor>,
    /// Who may come in by a port.
    pub(crate) guests: Guests,
}

impl Doors {
    /// Whether connections are still refused.
    pub(crate) fn is_closed(&self) -> bool {
        matches!(self.tcp, Port::Closed(_))
    }
}

/// A port of this machine.
pub(crate) enum Port {
    /// Clients can connect.
    Open(TcpListener),
    /// The port is taken, but nobody listens: the system refuses connections.
    Closed(TcpSocket),
}

impl Port {
    /// Takes a port; gives its address with the real number.
    pub(crate) fn bind(address: SocketAddr, closed: bool) -> io::Result<(Self, SocketAddr)> {
        if closed {
            let socket = match socket(address, false) {
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => socket(address, true),
                other => other,
            }?;
            let address = socket.local_addr()?;
            return Ok((Self::Closed(socket), address));
        }
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        Ok((Self::Open(listener), address))
    }

    /// Listens, inside a runtime.
    pub(crate) fn open(self) -> io::Result<tokio::net::TcpListener> {
        match self {
            Self::Open(listener) => tokio::net::TcpListener::from_std(listener),
            Self::Closed(socket) => {
                #[cfg(unix)]
                socket.set_reuseaddr(true)?;
                socket.listen(1024)
            }
        }
    }
}

/// A bound socket. With `reuse` connections that ended a moment ago don't stand in the way, as with the listeners of the standard
/// library; but then Linux lets others take the same port until somebody listens.
fn socket(address: SocketAddr, reuse: bool) -> io::Result<TcpSocket> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    }?;
    // Elsewhere it would let others share the port for good.
    if reuse && cfg!(unix) {
        socket.set_reuseaddr(true)?;
    }
    socket.bind(address)?;
    Ok(socket)
}

/// A Unix socket.
#[cfg(unix)]
pub(crate) enum UnixDoor {
    Open(UnixListener),
    Closed(UnixSocket),
}

#[cfg(unix)]
impl UnixDoor {
    /// Listens, inside a runtime.
    pub(crate) fn open(self) -> io::Result<tokio::net::UnixListener> {
        match self {
            Self::Open(listener) => tokio::net::UnixListener::from_std(listener),
            Self::Closed(socket) => socket.listen(1024),
        }
    }
}

/// The file of a Unix socket, removed when it is dropped.
#[cfg(unix)]
pub(crate) struct SocketFile(PathBuf);

#[cfg(unix)]
impl SocketFile {
    pub(crate) fn bind(path: PathBuf, closed: bool) -> io::Result<(Self, UnixDoor)> {
        if closed {
            let socket = UnixSocket::new_stream()?;
            socket.bind(&path)?;
            return Ok((Self(path), UnixDoor::Closed(socket)));
        }
        let listener = UnixListener::bind(&path)?;
        let file = Self(path);
        listener.set_nonblocking(true)?;
        Ok((file, UnixDoor::Open(listener)))
    }
}

#[cfg(unix)]
impl Drop for SocketFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}
