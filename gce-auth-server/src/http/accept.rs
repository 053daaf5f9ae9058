//! Accepts connections, and makes them ready to be read.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::{
    connection::{ConnContext, READ_TIMEOUT, serve_connection},
    shutdown::Phases,
    stream::Readable,
    turns::Turns,
};
use crate::{
    listen::{AllowedClients, Closed, PeerProcess, known_group, known_user},
    service::{Connection, Hooks, Peer, Service},
};

/// After a connection could not be accepted. Descriptors ran out, most likely: others have to leave
/// first.
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);

/// Accepts connections of allowed clients until the server drains or the listener is closed; closes
/// those of others.
pub(super) async fn accept_tcp<S: Service, H: Hooks>(
    tcp: TcpListener,
    allowed: AllowedClients,
    (closed, most): (Closed, Option<Arc<Semaphore>>),
    context: Arc<ConnContext<S, H>>,
    phases: Phases,
) {
    let mut until = phases.clone();
    let accept = async {
        loop {
            let permit = permit(most.as_ref()).await;
            match tcp.accept().await {
                Ok((stream, peer)) if allowed.admit(peer.ip()) => {
                    let _ = stream.set_nodelay(true);
                    let context = Arc::clone(&context);
                    let phases = phases.clone();
                    tokio::spawn(async move {
                        tcp_connection(stream, peer, context, phases).await;
                        drop(permit);
                    });
                }
                Ok((stream, peer)) => {
                    drop(stream);
                    context.hooks.refused(peer);
                }
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            }
        }
    };
    tokio::select! {
        biased;
        () = until.draining() => {}
        () = closed.wait() => {}
        () = accept => {}
    }
}

async fn tcp_connection<S: Service, H: Hooks>(
    stream: TcpStream,
    peer: SocketAddr,
    context: Arc<ConnContext<S, H>>,
    mut phases: Phases,
) {
    let Ok(local) = stream.local_addr() else {
        return;
    };
    let connection = context.connection(Peer::Tcp { peer, local }, PeerProcess::default());
    let Some(caller) = identify(&context, &connection, &mut phases).await else {
        return;
    };
    // A connection that was reset has no peer any more, and its port may be another's by now.
    if stream.peer_addr().is_err() {
        return;
    }
    match &context.tls {
        None => {
            let left = serve_connection(stream, connection, caller, &context, phases).await;
            if let Some(stream) = left {
                let _ = stream.set_zero_linger();
            }
        }
        Some(tls) => {
            let served = tls_connection(tls, stream, connection, caller, &context, phases);
            Box::pin(served).await;
        }
    }
}

#[cfg(unix)]
pub(super) async fn accept_unix<S: Service, H: Hooks>(
    unix: tokio::net::UnixListener,
    (closed, most): (Closed, Option<Arc<Semaphore>>),
    context: Arc<ConnContext<S, H>>,
    phases: Phases,
) {
    let mut until = phases.clone();
    let accept = async {
        loop {
            let permit = permit(most.as_ref()).await;
            match unix.accept().await {
                Ok((stream, _)) => {
                    let context = Arc::clone(&context);
                    let phases = phases.clone();
                    tokio::spawn(async move {
                        unix_connection(stream, context, phases).await;
                        drop(permit);
                    });
                }
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            }
        }
    };
    tokio::select! {
        biased;
        () = until.draining() => {}
        () = closed.wait() => {}
        () = accept => {}
    }
}

#[cfg(unix)]
async fn unix_connection<S: Service, H: Hooks>(
    stream: tokio::net::UnixStream,
    context: Arc<ConnContext<S, H>>,
    mut phases: Phases,
) {
    let peer = stream.peer_cred().ok();
    let peer = Peer::Unix {
        uid: peer.and_then(|peer| known_user(peer.uid())),
        gid: peer.and_then(|peer| known_group(peer.gid())),
        pid: peer.and_then(|peer| peer.pid()),
    };
    let connection = context.connection(peer, PeerProcess::of(&stream));
    let Some(caller) = identify(&context, &connection, &mut phases).await else {
        return;
    };
    match &context.tls {
        None => {
            serve_connection(stream, connection, caller, &context, phases).await;
        }
        Some(tls) => {
            let served = tls_connection(tls, stream, connection, caller, &context, phases);
            Box::pin(served).await;
        }
    }
}

/// Waits until one more connection may be open.
async fn permit(most: Option<&Arc<Semaphore>>) -> Option<OwnedSemaphorePermit> {
    Arc::clone(most?).acquire_owned().await.ok()
}

/// Identifies the caller of a connection, unless the connection is to be closed before.
async fn identify<S: Service, H: Hooks>(
    context: &ConnContext<S, H>,
    connection: &Connection,
    phases: &mut Phases,
) -> Option<S::Caller> {
    tokio::select! {
        biased;
        caller = context.service.identify(connection) => Some(caller),
        () = phases.closing() => None,
    }
}

/// Serves a connection that speaks TLS. In a box, as the connections that do not would have the
/// room for it, too.
async fn tls_connection<S: Service, H: Hooks, T: Readable>(
    tls: &TlsAcceptor,
    stream: T,
    connection: Connection,
    caller: S::Caller,
    context: &ConnContext<S, H>,
    mut phases: Phases,
) {
    if let Some(stream) = handshake(tls, stream, &context.turns, &mut phases).await {
        serve_connection(stream, connection, caller, context, phases).await;
    }
}

/// Makes TLS of a stream, unless it fails, takes too long, or the server drains.
async fn handshake<T: Readable>(
    tls: &TlsAcceptor,
    stream: T,
    turns: &Turns,
    phases: &mut Phases,
) -> Option<TlsStream<T>> {
    let accept = async {
        // Until then it needs no memory.
        stream.readable().await?;
        turns.run(tls.accept(stream)).await
    };
    tokio::select! {
        biased;
        accepted = timeout(READ_TIMEOUT, accept) => accepted.ok()?.ok(),
        () = phases.draining() => None,
    }
}
