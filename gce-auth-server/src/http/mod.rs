//! Sockets and HTTP. With `spelling`, and `upstream` for its client, the only place that knows the HTTP library.

mod activity;
mod content;

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Body, Incoming};
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::http::Extensions;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use self::activity::{Activity, Busy};
use self::content::{Closed, Content, Pace};
use crate::backend::{Arrival, Backend, Disturbance};
use crate::doors::Doors;
use crate::network::Guests;
use crate::spelling;
use crate::surface::fields::Fields;
use crate::surface::route::route;
use crate::surface::{Method, Reply, Request, pages};

const MAX_BODY: usize = 1 << 20;
const MAX_HEADERS: usize = 100;
const MAX_HEAD_BYTES: usize = 64 * 1024;
/// For the body of a request. Without a request, or with the head of one alone, a connection is closed after this time, or after
/// twice as long at most.
const READ_TIMEOUT: Duration = Duration::from_secs(60);

/// Serves on this thread until `stop` is sent or dropped; then every connection is closed.
pub(crate) fn serve<B: Backend>(
    runtime: tokio::runtime::Runtime,
    doors: Doors,
    backend: Arc<B>,
    stop: oneshot::Receiver<()>,
) {
    runtime.block_on(async move {
        let spelling = spelling::learn().await;
        tokio::spawn(Arc::clone(&backend).run());
        let serving = async {
            if doors.is_closed() {
                backend.warm().await;
            }
            match open(doors, &backend, &spelling) {
                Ok(()) => std::future::pending().await,
                Err(error) => error,
            }
        };
        tokio::select! {
            _ = stop => {}
            error = serving => backend.failed(&error),
        }
    });
    runtime.shutdown_background();
}

/// Begins to accept at every door.
fn open<B: Backend>(doors: Doors, backend: &Arc<B>, spelling: &Extensions) -> io::Result<()> {
    let room = |secure| Room {
        backend: Arc::clone(backend),
        spelling: spelling.clone(),
        secure,
        local: true,
    };
    let (plain, tcp) = (room(false), doors.tcp.open()?);
    let (guests, host) = (doors.guests.clone(), Arc::clone(backend));
    tokio::spawn(accept(
        async move || admit(&tcp, &guests, &*host).await,
        move |(stream, peer)| {
            let _ = stream.set_nodelay(true);
            let mut room = plain.clone();
            room.local = peer.ip().to_canonical().is_loopback();
            async move {
                if let Some(stream) = connection(stream, room).await {
                    let _ = stream.set_zero_linger();
                }
            }
        },
    ));
    if let Some((tcp, config)) = doors.tls {
        let (secure, tcp) = (room(true), tcp.open()?);
        let tls = TlsAcceptor::from(config);
        let (guests, host) = (doors.guests, Arc::clone(backend));
        tokio::spawn(accept(
            async move || admit(&tcp, &guests, &*host).await,
            move |(stream, peer)| {
                let _ = stream.set_nodelay(true);
                let (tls, mut room) = (tls.clone(), secure.clone());
                room.local = peer.ip().to_canonical().is_loopback();
                async move {
                    if let Ok(Ok(stream)) = timeout(READ_TIMEOUT, tls.accept(stream)).await {
                        connection(stream, room).await;
                    }
                }
            },
        ));
    }
    #[cfg(unix)]
    if let Some(unix) = doors.unix {
        let (plain, unix) = (room(false), unix.open()?);
        tokio::spawn(accept(
            async move || unix.accept().await,
            move |(stream, _)| {
                let room = plain.clone();
                async move {
                    connection(stream, room).await;
                }
            },
        ));
    }
    Ok(())
}

/// Accepts as long as the runtime lives.
async fn accept<S, F: Future<Output = ()> + Send + 'static>(
    next: impl AsyncFn() -> io::Result<S>,
    serve: impl Fn(S) -> F,
) {
    loop {
        match next().await {
            Ok(stream) => {
                tokio::spawn(serve(stream));
            }
            // Out of descriptors, most likely: others have to leave first.
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}

/// The next connection of a guest; those of others are closed.
async fn admit<B: Backend>(
    tcp: &TcpListener,
    guests: &Guests,
    host: &B,
) -> io::Result<(TcpStream, SocketAddr)> {
    loop {
        let (stream, peer) = tcp.accept().await?;
        if guests.admit(peer.ip()) {
            return Ok((stream, peer));
        }
        drop(stream);
        host.refused(peer);
    }
}

/// What the connections of one door share.
struct Room<B> {
    backend: Arc<B>,
    spelling: Extensions,
    secure: bool,
    local: bool,
}

impl<B> Clone for Room<B> {
    fn clone(&self) -> Self {
        Self {
            backend: Arc::clone(&self.backend),
            spelling: self.spelling.clone(),
            secure: self.secure,
            local: self.local,
        }
    }
}

/// Serves one connection. Gives its stream back if the connection is to be reset.
async fn connection<B: Backend, S>(stream: S, room: Room<B>) -> Option<S>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let reset = AtomicBool::new(false);
    let activity = Arc::new(Activity::default());
    let service = service_fn(|request| {
        let busy = activity.begin();
        let (request, body) = understand(request, &room);
        Box::pin(exchange(request, body, busy, &room, &reset))
    });
    let mut connection = http1::Builder::new()
        .title_case_headers(true)
        .auto_date_header(false)
        .max_headers(MAX_HEADERS)
        .max_buf_size(MAX_HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    let idle = activity.idle(async || tokio::time::sleep(READ_TIMEOUT).await);
    tokio::select! {
        biased;
        _ = poll_fn(|context| connection.poll_without_shutdown(context)) => {}
        () = idle => {}
    }
    if reset.load(Ordering::Relaxed) {
        return Some(connection.into_parts().io.into_inner());
    }
    let mut stream = connection.into_parts().io.into_inner();
    let _ = timeout(READ_TIMEOUT, stream.shutdown()).await;
    None
}

/// What the surface has to know of a request, but for its body.
fn understand<B>(request: hyper::Request<Incoming>, room: &Room<B>) -> (Request, Incoming) {
    let (parts, body) = request.into_parts();
    let request = Request {
        secure: room.secure,
        local: room.local,
        method: Method::parse(parts.method.as_str()),
        path: parts.uri.path().into(),
        query: parts.uri.query().unwrap_or_default().into(),
        headers: fields(&parts.headers),
        body: Vec::new(),
    };
    (request, body)
}

/// From a request to its answer. What it rarely needs lies in boxes, as each request under way has this in memory, and most have
/// nothing to wait for.
async fn exchange<B: Backend>(
    mut request: Request,
    body: Incoming,
    busy: Busy,
    room: &Room<B>,
    reset: &AtomicBool,
) -> Result<hyper::Response<Content>, Closed> {
    let (backend, spelling) = (&*room.backend, &room.spelling);
    let mut too_large = false;
    if !body.is_end_stream() {
        match Box::pin(read_body(body)).await? {
            Some(bytes) => request.body = bytes,
            None => too_large = true,
        }
    }

    let Arrival { id, disturbance } = backend.arrived(&request);
    let mut visit = Visit {
        backend,
        id,
        status: None,
    };
    let mut pace = Pace::Whole;
    let mut flavor = None;
    match disturbance {
        None => {}
        Some(Disturbance::Instead(reply)) => {
            visit.status = Some(reply.status);
            return Ok(response(reply, backend, spelling, pace, busy));
        }
        Some(Disturbance::Late(delay)) => Box::pin(tokio::time::sleep(delay)).await,
        Some(Disturbance::Flavor(other)) => flavor = Some(other),
        Some(Disturbance::Never) => std::future::pending().await,
        Some(Disturbance::Close) => return Err(Closed),
        Some(Disturbance::Reset) => {
            reset.store(true, Ordering::Relaxed);
            return Err(Closed);
        }
        Some(Disturbance::Slow(bytes, pause)) => pace = Pace::Pieces(bytes, pause),
        Some(Disturbance::CutAfter(bytes)) => pace = Pace::CutAfter(bytes),
    }

    let mut reply = if too_large {
        pages::too_large()
    } else {
        let original = backend.relays().then(|| request.clone());
        match route(request) {
            Ok(op) if op.is_stream() => match Arc::clone(&room.backend).feed() {
                Some(more) => {
                    pace = Pace::Feed(more);
                    backend.answer(op, original).await
                }
                None => pages::status(503),
            },
            Ok(op) => match backend.at_once(&op) {
                Some(reply) => reply,
                None => backend.answer(op, original).await,
            },
            Err(reply) => reply,
        }
    };
    if let Some(other) = flavor {
        reply = reply.flavored(other);
    }
    visit.status = Some(reply.status);
    Ok(response(reply, backend, spelling, pace, busy))
}

/// The headers of a request; what is no text in them is replaced.
fn fields(headers: &HeaderMap) -> Fields {
    let length = headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len());
    let mut fields = Fields::with_capacity(headers.len(), length.sum());
    for (name, value) in headers {
        fields.push(name.as_str(), &String::from_utf8_lossy(value.as_bytes()));
    }
    fields
}

/// A request between its arrival and the head of its answer. Ends without a status if the client leaves before.
struct Visit<'a, B: Backend> {
    backend: &'a B,
    id: u64,
    status: Option<u16>,
}

impl<B: Backend> Drop for Visit<'_, B> {
    fn drop(&mut self) {
        self.backend.departed(self.id, self.status);
    }
}

/// The whole body, or `None` if it is too large.
async fn read_body(body: Incoming) -> Result<Option<Vec<u8>>, Closed> {
    if body.size_hint().lower() > MAX_BODY as u64 {
        return Ok(None);
    }
    let whole = Limited::new(body, MAX_BODY).collect();
    match timeout(READ_TIMEOUT, whole).await {
        Ok(Ok(body)) => Ok(Some(body.to_bytes().into())),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Ok(None),
        Ok(Err(_)) | Err(_) => Err(Closed),
    }
}

fn response<B: Backend>(
    reply: Reply,
    backend: &B,
    spelling: &Extensions,
    pace: Pace,
    busy: Busy,
) -> hyper::Response<Content> {
    let lines = reply.header_lines(backend.date());
    let mut response = hyper::Response::new(Content::new(reply.body, pace, busy));
    *response.status_mut() = hyper::StatusCode::from_u16(reply.status)
        .unwrap_or(hyper::StatusCode::INTERNAL_SERVER_ERROR);
    response.extensions_mut().clone_from(spelling);
    let headers = response.headers_mut();
    headers.reserve(lines.len());
    for (name, value) in lines {
        // A value that no header may hold is left out rather than sent.
        if let (Some(name), Ok(value)) = (header_name(name), HeaderValue::from_maybe_shared(value))
        {
            headers.append(name, value);
        }
    }
    response
}

/// A header's name, without a look into its letters where it is well known.
fn header_name(name: &'static str) -> Option<HeaderName> {
    const FLAVOR: HeaderName = HeaderName::from_static("metadata-flavor");
    Some(match name {
        "Metadata-Flavor" => FLAVOR,
        "Content-Type" => header::CONTENT_TYPE,
        "ETag" => header::ETAG,
        "Date" => header::DATE,
        "Server" => header::SERVER,
        "Content-Length" => header::CONTENT_LENGTH,
        "X-XSS-Protection" => header::X_XSS_PROTECTION,
        "X-Frame-Options" => header::X_FRAME_OPTIONS,
        other => return HeaderName::from_bytes(other.as_bytes()).ok(),
    })
}
