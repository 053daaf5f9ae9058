//! Settings of sockets that were bound elsewhere.

use std::{net::TcpListener, sync::Arc};

use crate::builder::EmulatorBuilder;

impl EmulatorBuilder {
    /// Serves the metadata server on this socket instead of at [`address`](Self::address): one that
    /// was bound in a network namespace, for the programs there. The socket may listen already; for
    /// [`refuse_for`](Self::refuse_for) it must not.
    ///
    /// Each client that reaches it is served, whatever [`allow_from`](Self::allow_from) and
    /// [`allow_uid`](Self::allow_uid) say: the kernel tells nothing of clients in other namespaces.
    pub fn private_listener(mut self, socket: TcpListener) -> Self {
        self.private.metadata = Some(Arc::new(socket));
        self
    }

    /// Serves [HTTPS with client certificates](Self::https) on this socket, as
    /// [`private_listener`](Self::private_listener) does HTTP.
    pub fn private_https_listener(mut self, socket: TcpListener) -> Self {
        self.private.https = Some(Arc::new(socket));
        self
    }

    /// Serves the Google APIs over TLS on this socket, for clients that ask for them at
    /// [their own names](crate::API_HOSTS) and trust
    /// [`Emulator::apis_root_certificate`](crate::Emulator::apis_root_certificate). Like
    /// [`private_listener`](Self::private_listener), it serves each client.
    pub fn private_apis_listener(mut self, socket: TcpListener) -> Self {
        self.private.apis = Some(Arc::new(socket));
        self
    }
}
