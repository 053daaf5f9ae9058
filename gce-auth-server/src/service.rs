//! The traits between the sockets and what answers behind them.

use std::{future::Future, net::SocketAddr, pin::Pin, sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::sync::mpsc;

use crate::{
    listen::PeerProcess,
    protocol::{reply::Reply, request::Request},
};

/// Answers requests.
pub trait Service: Send + Sync + 'static {
    /// What the service knows of the caller of a connection.
    type Caller: Send + Sync + 'static;

    /// Returns the value of the `Date` header.
    fn date(&self) -> Bytes;

    /// Returns the value of the `Server` header of a metadata server. Default: that of Compute
    /// Engine.
    fn server(&self) -> &'static str {
        "Metadata Server for VM"
    }

    /// Identifies the caller of a connection. Called once for each connection, before a byte of it
    /// is read. A connection that is reset meanwhile is dropped: what was found may be the owner
    /// of a later one from the same port.
    fn identify(&self, connection: &Connection) -> impl Future<Output = Self::Caller> + Send;

    /// Answers a request. Path and query are as the client sent them; nothing was checked but that
    /// it is HTTP.
    ///
    /// A future is dropped when the client leaves.
    fn serve<'a>(&'a self, request: Request, caller: &'a Self::Caller) -> Answer<'a>;

    /// Returns when the connection of a request ends that [`FaultAction::Never`] leaves unanswered,
    /// or that [`FaultAction::Late`] has not let be answered yet. Default: never.
    fn gone(&self, request: &Request, caller: &Self::Caller) -> impl Future<Output = ()> + Send {
        let _ = (request, caller);
        std::future::pending()
    }
}

/// An answer, or the way to it.
pub enum Answer<'a> {
    /// The answer is there.
    Ready(Reply),
    /// The answer has to be waited for. Boxed, as most requests have nothing to wait for and then
    /// need no room for it.
    Later(Pin<Box<dyn Future<Output = Reply> + Send + 'a>>),
    /// As [`Later`](Self::Later); `None` ends the connection without an answer.
    Perhaps(Pin<Box<dyn Future<Output = Option<Reply>> + Send + 'a>>),
    /// The answer is there, and its body goes on with what comes from the channel.
    Stream(Reply, mpsc::Receiver<Vec<u8>>),
    /// There is no answer: the connection ends.
    Closed,
}

impl std::fmt::Debug for Answer<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Ready(reply) => f.debug_tuple("Ready").field(&reply.status).finish(),
            Self::Later(_) => f.write_str("Later"),
            Self::Perhaps(_) => f.write_str("Perhaps"),
            Self::Stream(reply, _) => f.debug_tuple("Stream").field(&reply.status).finish(),
            Self::Closed => f.write_str("Closed"),
        }
    }
}

/// A connection that was accepted.
#[derive(Clone, Debug)]
pub struct Connection {
    /// The name of its listener.
    pub listener: Arc<str>,
    /// Whether it speaks TLS.
    pub secure: bool,
    /// The other end.
    pub peer: Peer,
    /// The process at the other end of a Unix socket.
    pub process: PeerProcess,
}

impl Connection {
    /// Returns whether the other end is on this machine: a Unix socket, or a loopback address.
    #[must_use]
    pub fn is_local(&self) -> bool {
        match &self.peer {
            Peer::Tcp { peer, .. } => peer.ip().to_canonical().is_loopback(),
            Peer::Unix { .. } => true,
        }
    }
}

/// The other end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// TCP.
    Tcp {
        /// The other end's address.
        peer: SocketAddr,
        /// This end's address.
        local: SocketAddr,
    },
    /// A Unix socket. The kernel says whose it is: the process that connected.
    Unix {
        /// Its user, if the system tells.
        uid: Option<u32>,
        /// Its group.
        gid: Option<u32>,
        /// Its number.
        pid: Option<i32>,
    },
}

/// What a service may do beside answering: see requests come and go, and make them fail. Each
/// method does nothing by default, and `()` does nothing at all.
pub trait Hooks: Send + Sync + 'static {
    /// What the hooks know of the other end of a connection.
    type Client: Send + Sync + Default + 'static;

    /// Is called for a connection that was closed at once, as its address may not connect.
    fn refused(&self, peer: SocketAddr) {
        let _ = peer;
    }

    /// Is called for a connection before a byte of it is read. Runs on the thread that serves all.
    fn connected(&self, connection: &Connection) -> Self::Client {
        let _ = connection;
        Self::Client::default()
    }

    /// Is called for a request before it is answered; decides what goes wrong with it.
    fn arrived(&self, request: &Request, client: &Self::Client) -> Arrival {
        let _ = (request, client);
        Arrival::default()
    }

    /// Is called for bytes that were no request of HTTP, with the status that refused them. The
    /// connection ends.
    fn unreadable(&self, client: &Self::Client, status: u16, why: &str) {
        let _ = (client, status, why);
    }

    /// Is called with the answer to a request, just before it is sent.
    fn answered(&self, id: u64, answer: &Sent<'_>) {
        let _ = (id, answer);
    }

    /// Is called for a request that ended without an answer, as its client or the connection was
    /// gone.
    fn departed(&self, id: u64) {
        let _ = id;
    }
}

impl Hooks for () {
    type Client = ();
}

/// An answer as it is sent.
#[derive(Clone, Copy, Debug)]
pub struct Sent<'a> {
    /// The status code.
    pub status: u16,
    /// The header lines.
    pub headers: &'a [(&'static str, Bytes)],
    /// The body, before a fault cuts it off.
    pub body: &'a Bytes,
    /// Whether another server gave it.
    pub relayed: bool,
}

/// What the hooks say of a request when it comes in.
#[derive(Debug, Default)]
pub struct Arrival {
    /// Its number, for [`Hooks::answered`] and [`Hooks::departed`].
    pub id: u64,
    /// What goes wrong with it.
    pub fault: Option<FaultAction>,
}

/// What happens to a request instead of its answer, or on the way to it.
#[derive(Clone, Debug)]
pub enum FaultAction {
    /// This is the answer.
    Instead(Reply),
    /// The answer comes later.
    Late(Duration),
    /// The answer comes with this in place of `Google` for its flavor, or without a flavor.
    Flavor(Option<String>),
    /// The answer never comes.
    Never,
    /// The connection ends without an answer.
    Close,
    /// The connection is reset without an answer.
    Reset,
    /// The answer's body comes in pieces of so many bytes, with a pause before each.
    Slow(usize, Duration),
    /// The answer ends after this many bytes of its body.
    CutAfter(usize),
}
