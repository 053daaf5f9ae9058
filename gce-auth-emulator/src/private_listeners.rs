//! Sockets of a network of its own, such as a network namespace.

use std::{
    io,
    net::{SocketAddr, TcpListener},
    sync::Arc,
};

use gce_auth_server::listen::TcpPort;

use crate::error::StartError;

/// The name of these listeners: each client of theirs is served.
pub(crate) const PRIVATE: &str = "private";

/// Sockets that were bound elsewhere, which only the programs of one network reach.
#[derive(Clone, Debug, Default)]
pub(crate) struct PrivateListeners {
    pub(crate) metadata: Option<Arc<TcpListener>>,
    pub(crate) https: Option<Arc<TcpListener>>,
    pub(crate) apis: Option<Arc<TcpListener>>,
}

/// Takes such a socket, and its address. With `cold`, does not listen yet.
pub(crate) fn take(socket: &TcpListener, cold: bool) -> Result<(TcpPort, SocketAddr), StartError> {
    let take = || -> io::Result<_> {
        let address = socket.local_addr()?;
        let socket = socket.try_clone()?;
        let port = if cold {
            TcpPort::closed_from_listener(socket)
        } else {
            TcpPort::from_listener(socket)
        };
        Ok((port?, address))
    };
    take().map_err(|error| StartError::listen("a socket bound elsewhere", error))
}
