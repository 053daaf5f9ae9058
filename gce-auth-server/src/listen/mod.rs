//! Where connections come in: TCP ports, Unix sockets, TLS over either, and which addresses may
//! connect. Bound before anything is served.

pub mod allowed_clients;
mod backlog;
#[cfg(all(feature = "_fuzz", any(target_os = "linux", target_os = "android")))]
pub mod fuzzing;
mod peer_process;
#[cfg(any(target_os = "linux", target_os = "android"))]
mod proc_net;
#[cfg(any(target_os = "linux", target_os = "android"))]
mod process_directory;
#[cfg(any(target_os = "linux", target_os = "android"))]
mod sock_diag;
mod socket_owner;
mod tcp;
#[cfg(any(target_os = "linux", target_os = "android"))]
mod tcp_state;
#[cfg(unix)]
mod unix_socket;
mod user_namespace;

use std::sync::Arc;

pub use allowed_clients::{AllowedClients, Network};
pub use peer_process::PeerProcess;
#[cfg(any(target_os = "linux", target_os = "android"))]
pub use process_directory::ProcessDirectory;
pub use socket_owner::SocketOwner;
pub use tcp::TcpPort;
use tokio::sync::{Notify, Semaphore};
#[cfg(unix)]
pub use unix_socket::{SocketFile, UnixPort};
pub use user_namespace::{known_group, known_user};

/// A socket that is bound, and who may connect to it.
#[derive(Debug)]
pub struct Listener {
    pub(crate) name: Arc<str>,
    pub(crate) socket: Socket,
    pub(crate) tls: Option<Arc<rustls::ServerConfig>>,
    pub(crate) allowed: AllowedClients,
    pub(crate) closed: Closed,
    pub(crate) most: Option<Arc<Semaphore>>,
}

#[derive(Debug)]
pub(crate) enum Socket {
    Tcp(TcpPort),
    #[cfg(unix)]
    Unix(UnixPort),
}

impl Listener {
    /// Returns a listener on a TCP port.
    #[must_use]
    pub fn tcp(port: TcpPort) -> Self {
        Self::new(Socket::Tcp(port))
    }

    /// Returns a listener on a Unix socket.
    #[cfg(unix)]
    #[must_use]
    pub fn unix(port: UnixPort) -> Self {
        Self::new(Socket::Unix(port))
    }

    fn new(socket: Socket) -> Self {
        Self {
            name: Arc::from(""),
            socket,
            tls: None,
            allowed: AllowedClients::default(),
            closed: Closed::default(),
            most: None,
        }
    }

    /// Takes a permit for each connection, as long as it is open. Default: none is needed. Without
    /// one left, clients wait to be accepted, so that the descriptors of a process last.
    #[must_use]
    pub fn permits(mut self, permits: Arc<Semaphore>) -> Self {
        self.most = Some(permits);
        self
    }

    /// Sets the name by which a service knows the listener. Default: empty.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        self.name = name.into();
        self
    }

    /// Speaks TLS.
    #[must_use]
    pub fn tls(mut self, config: Arc<rustls::ServerConfig>) -> Self {
        self.tls = Some(config);
        self
    }

    /// Sets which addresses may connect. Default: all. Connections from others are closed before a
    /// byte is read. Unix sockets have no addresses.
    #[must_use]
    pub fn allow(mut self, clients: AllowedClients) -> Self {
        self.allowed = clients;
        self
    }

    /// Returns what closes the listener while its server goes on: no connection is accepted then,
    /// and open ones stay.
    #[must_use]
    pub fn closer(&self) -> Closer {
        Closer(Arc::clone(&self.closed.0))
    }
}

/// Closes a [`Listener`].
#[derive(Clone, Debug)]
pub struct Closer(Arc<Notify>);

impl Closer {
    /// Closes it.
    pub fn close(&self) {
        // Kept for a listener that is not served yet.
        self.0.notify_one();
    }
}

/// Tells that a listener is to be closed.
#[derive(Debug, Default)]
pub(crate) struct Closed(Arc<Notify>);

impl Closed {
    pub(crate) async fn wait(&self) {
        self.0.notified().await;
    }
}
