//! hyper and nothing else: the most that a server of HTTP can do here. A process
//! of its own, as what it is compared with is one.

use std::{convert::Infallible, io, net::Ipv4Addr, sync::Arc, time::Duration};

use http_body_util::Full;
use hyper::{
    Request, Response,
    body::{Bytes, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::sync::{
    Mutex,
    watch::{Receiver, channel},
};

/// Requests for this wait for one event, as callers of an agent wait for one
/// answer of its source.
pub const COLD: &str = "scopes=cold";

/// The event that cold requests wait for, until it came.
type Event = Arc<Mutex<Option<Receiver<bool>>>>;

/// Serves until the process ends: every request gets this many bytes, those for
/// [`COLD`] all at once, so long after the first of them. Tells where, once it
/// does.
///
/// # Errors
/// If there is no port to listen at.
pub fn serve(
    length: usize,
    after: Duration,
    tell: impl FnOnce(std::net::SocketAddr),
) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let body = Bytes::from(vec![b'x'; length]);
    let event = Event::default();
    runtime.block_on(async move {
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        tell(listener.local_addr()?);
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let (body, event) = (body.clone(), event.clone());
            let service = service_fn(move |request: Request<Incoming>| {
                let body = body.clone();
                let cold = request.uri().query().is_some_and(|it| it.starts_with(COLD));
                let event = cold.then(|| event.clone());
                async move {
                    if let Some(event) = event {
                        wait(&event, after).await;
                    }
                    Ok::<_, Infallible>(Response::new(Full::new(body)))
                }
            });
            let served = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            tokio::spawn(served);
        }
    })
}

/// Waits for the event, or is the first who does.
async fn wait(event: &Event, after: Duration) {
    let mut came = {
        let mut waited = event.lock().await;
        match &*waited {
            Some(came) => came.clone(),
            None => {
                let (sender, came) = channel(false);
                *waited = Some(came.clone());
                let event = event.clone();
                tokio::spawn(async move {
                    tokio::time::sleep(after).await;
                    *event.lock().await = None;
                    sender.send_replace(true);
                });
                came
            }
        }
    };
    let _ = came.wait_for(|came| *came).await;
}
