//! TCP ports, open or taken but closed.

use std::{
    io,
    net::{SocketAddr, TcpListener},
};

use tokio::net::TcpSocket;

use super::backlog::BACKLOG;

/// A bound TCP port.
#[derive(Debug)]
pub struct TcpPort(State);

#[derive(Debug)]
enum State {
    Open(TcpListener),
    /// Bound, not listening: the system refuses connections.
    Closed(TcpSocket),
}

impl TcpPort {
    /// Listens on a port. Clients can connect from now on, and are accepted once the port is
    /// served. Port 0 takes a free one.
    ///
    /// # Errors
    ///
    /// When the address is taken, not this machine's, or not allowed.
    pub fn open(address: SocketAddr) -> io::Result<Self> {
        Self::from_listener(TcpListener::bind(address)?)
    }

    /// Takes a listener that was bound elsewhere, as systemd does for a service.
    ///
    /// # Errors
    ///
    /// When it cannot be made non-blocking.
    pub fn from_listener(listener: TcpListener) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        // Listening again sets the backlog; the standard library's is too small for thousands that
        // connect at once.
        #[cfg(unix)]
        rustix::net::listen(&listener, BACKLOG)?;
        Ok(Self(State::Open(listener)))
    }

    /// Takes a port, but does not listen before it is served: the system refuses connections.
    ///
    /// # Errors
    ///
    /// As for [`open`](Self::open).
    pub fn closed(address: SocketAddr) -> io::Result<Self> {
        match socket(address, false) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => socket(address, true),
            other => other,
        }
        .map(|socket| Self(State::Closed(socket)))
    }

    /// Takes a socket that was bound elsewhere and does not listen yet, as [`closed`](Self::closed)
    /// does.
    ///
    /// # Errors
    ///
    /// When it cannot be made non-blocking.
    pub fn closed_from_listener(socket: TcpListener) -> io::Result<Self> {
        #[cfg(unix)]
        use std::os::fd::OwnedFd as Owned;
        #[cfg(windows)]
        use std::os::windows::io::OwnedSocket as Owned;

        socket.set_nonblocking(true)?;
        let socket = std::net::TcpStream::from(Owned::from(socket));
        Ok(Self(State::Closed(TcpSocket::from_std_stream(socket))))
    }

    /// Returns the same open port once more. Each connection is accepted by one of the two.
    ///
    /// # Errors
    ///
    /// When descriptors ran out, or the port is closed.
    pub fn try_clone(&self) -> io::Result<Self> {
        match &self.0 {
            State::Open(listener) => Ok(Self(State::Open(listener.try_clone()?))),
            State::Closed(_) => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    /// Returns the address, with the real port.
    ///
    /// # Errors
    ///
    /// When the system does not tell.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        match &self.0 {
            State::Open(listener) => listener.local_addr(),
            State::Closed(socket) => socket.local_addr(),
        }
    }

    /// Listens, inside a runtime.
    pub(crate) fn listen(self) -> io::Result<tokio::net::TcpListener> {
        match self.0 {
            State::Open(listener) => tokio::net::TcpListener::from_std(listener),
            State::Closed(socket) => {
                #[cfg(unix)]
                socket.set_reuseaddr(true)?;
                socket.listen(BACKLOG.unsigned_abs())
            }
        }
    }
}

/// A bound socket. With `reuse` connections that ended a moment ago don't stand in the way, as with
/// the listeners of the standard library; but then Linux lets others take the same port until one
/// listens.
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

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::{net::TcpStream, time::Duration};

    use super::*;

    #[test]
    fn hundreds_connect_before_one_is_accepted() {
        let port = TcpPort::open("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = port.local_addr().unwrap();
        // Where the queue is full, a connection hangs until the client tries again after a second.
        let connect = || TcpStream::connect_timeout(&address, Duration::from_millis(900)).unwrap();
        let clients: Vec<_> = (0..600).map(|_| connect()).collect();
        assert_eq!(clients.len(), 600);
    }

    #[test]
    fn a_closed_port_is_taken_after_connections_that_ended_and_shared_with_nothing() {
        use std::io::Read as _;
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let mut client = TcpStream::connect(address).unwrap();
        drop(listener.accept().unwrap());
        assert_eq!(client.read(&mut [0]).unwrap(), 0);
        drop((client, listener));
        // The end that closed first lingers, and takes the port from those that do not reuse it.
        let plain = socket(address, false).unwrap_err();
        assert_eq!(plain.kind(), io::ErrorKind::AddrInUse);
        let port = TcpPort::closed(address).unwrap();
        assert_eq!(port.local_addr().unwrap(), address);
        TcpStream::connect(address).unwrap_err();

        let port = TcpPort::closed("127.0.0.1:0".parse().unwrap()).unwrap();
        let again = TcpPort::closed(port.local_addr().unwrap()).unwrap_err();
        assert_eq!(again.kind(), io::ErrorKind::AddrInUse);
    }
}
