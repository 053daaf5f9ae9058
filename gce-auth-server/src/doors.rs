//! Where connections come in: a port, and if wanted a port with TLS and a Unix socket. Bound before anything is served.

use std::io;
use std::net::{SocketAddr, TcpListener};
#[cfg(unix)]
use std::os::unix::net::UnixListener;
#[cfg(unix)]
use std::path::PathBuf;
use std::sync::Arc;

/// Listeners that do not block, ready to be served.
pub(crate) struct Doors {
    pub(crate) tcp: TcpListener,
    pub(crate) tls: Option<(TcpListener, Arc<rustls::ServerConfig>)>,
    #[cfg(unix)]
    pub(crate) unix: Option<UnixListener>,
}

/// A port, and its address with the real number.
pub(crate) fn port(address: SocketAddr) -> io::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

/// The file of a Unix socket, removed when it is dropped.
#[cfg(unix)]
pub(crate) struct SocketFile(PathBuf);

#[cfg(unix)]
impl SocketFile {
    pub(crate) fn bind(path: PathBuf) -> io::Result<(Self, UnixListener)> {
        let listener = UnixListener::bind(&path)?;
        let file = Self(path);
        listener.set_nonblocking(true)?;
        Ok((file, listener))
    }
}

#[cfg(unix)]
impl Drop for SocketFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}
