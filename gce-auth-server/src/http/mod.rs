//! Reads requests and writes answers. With `header_case` the only place that knows the HTTP
//! library.

mod accept;
mod activity;
mod connection;
mod content;
mod kept;
mod message;
mod shutdown;
mod stream;
mod turns;

use std::{io, sync::Arc, time::Duration};

use tokio_rustls::TlsAcceptor;

use self::{
    accept::accept_tcp, connection::ConnContext, kept::Kept, shutdown::Shutdown, turns::Turns,
};
use crate::{
    header_case,
    listen::{Listener, Socket},
    service::{Hooks, Service},
};

/// Serves the listeners. Returns only when one of them can't be listened on. Dropping the future
/// closes everything at once.
pub async fn serve<S: Service, H: Hooks>(
    listeners: Vec<Listener>,
    service: Arc<S>,
    hooks: Arc<H>,
) -> io::Error {
    match serve_with_shutdown(listeners, service, hooks, std::future::pending()).await {
        Err(error) => error,
        Ok(_) => io::Error::other("stopped"),
    }
}

/// Serves the listeners until `shutdown` returns, and then until the requests under way are
/// answered, at most for the time that `shutdown` returned.
///
/// From its return on, no connection is accepted, idle connections are closed, and the others are
/// closed behind the answer to the request on them, which says `Connection: close`. A request is
/// under way once its head was read. What waits or streams without an end is cut off at the
/// deadline, unless the service ends it before. Returns the number of connections that were cut
/// off.
///
/// Dropping the future closes everything at once.
///
/// # Errors
///
/// When a listener can't be listened on.
pub async fn serve_with_shutdown<S: Service, H: Hooks>(
    listeners: Vec<Listener>,
    service: Arc<S>,
    hooks: Arc<H>,
    shutdown: impl Future<Output = Duration>,
) -> io::Result<usize> {
    let header_case = header_case::learn().await;
    let (server, phases) = Shutdown::new();
    let turns = Arc::new(Turns::new());
    let kept = Arc::new(Kept::default());
    for listener in listeners {
        let context = Arc::new(ConnContext {
            service: Arc::clone(&service),
            hooks: Arc::clone(&hooks),
            header_case: header_case.clone(),
            listener: listener.name,
            tls: listener.tls.map(TlsAcceptor::from),
            turns: Arc::clone(&turns),
            kept: Arc::clone(&kept),
        });
        let phases = phases.clone();
        match listener.socket {
            Socket::Tcp(port) => {
                let tcp = port.listen()?;
                tokio::spawn(accept_tcp(
                    tcp,
                    listener.allowed,
                    (listener.closed, listener.most),
                    context,
                    phases,
                ));
            }
            #[cfg(unix)]
            Socket::Unix(port) => {
                let unix = port.listen()?;
                tokio::spawn(accept::accept_unix(
                    unix,
                    (listener.closed, listener.most),
                    context,
                    phases,
                ));
            }
        }
    }
    drop(phases);
    let deadline = shutdown.await;
    Ok(server.drain(deadline).await)
}
