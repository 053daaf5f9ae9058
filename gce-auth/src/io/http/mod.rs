//! The transport that comes with the library: HTTP/1.1 over the standard
//! library's sockets.
//!
//! A library that carries HTTP logs what it carries: tokens, at the most
//! talkative level. This one says nothing to anybody.

mod connection;
mod pool;

use std::{
    fmt,
    io::{self, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    sync::{Arc, OnceLock},
    time::Duration,
};

use http::{HeaderValue, Request, Response, StatusCode, Uri, header, uri::Scheme};
use zeroize::{Zeroize as _, Zeroizing};

use self::{
    connection::{Connection, Timed, now},
    pool::{Gone, Pool, Route},
};
#[cfg(feature = "tls")]
use crate::io::{identity::ClientIdentity, tls};
use crate::{
    io::{
        interrupt::Interrupt,
        lookup,
        transport::{Limits, Transport, TransportError, TransportErrorKind as Kind},
    },
    values::{
        endpoint::without_user,
        error::{Error, ErrorKind, Tenths},
    },
    wire::http1::{self, Body, Head, Malformed},
};

const USER_AGENT: HeaderValue =
    HeaderValue::from_static(concat!("gce-auth/", env!("CARGO_PKG_VERSION")));
/// Room for an answer before it is known how long it is, in bytes: a token's
/// fits. Every buffer is wiped to its last byte, so that room costs time.
const FIRST_ROOM: usize = 2048;
/// Interim answers (1xx) before the one that counts, at most.
const MOST_INTERIM: u32 = 32;

/// The transport that comes with the library: HTTP/1.1 over TCP, with kept
/// connections; no proxy, no redirect, no cookie, no compression. HTTPS with
/// the feature `tls`.
///
/// Of use where requests are to be looked at, or changed, on their way: see
/// [`Transport`].
#[derive(Default)]
pub struct HttpTransport {
    pool: Pool,
    /// Authorities, and the addresses to connect to instead of looking them up.
    pins: Vec<(String, SocketAddr)>,
    #[cfg(feature = "tls")]
    trust: tls::Trust,
}

/// The transport that every client of this process shares by default, so that
/// they share connections as well. Nothing happens before the first request.
pub(crate) fn shared() -> Arc<dyn Transport> {
    static SHARED: OnceLock<Arc<HttpTransport>> = OnceLock::new();
    Arc::clone(SHARED.get_or_init(Arc::default)) as Arc<dyn Transport>
}

impl HttpTransport {
    /// A transport with connections of its own.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Connects to `address` (`ip:port`) for requests to `authority`
    /// (`host:port`), in place of a lookup; as `curl --resolve`. The name in the
    /// request and in the certificate stays.
    ///
    /// # Errors
    /// [`Config`](ErrorKind::Config) if `authority` is not `host:port`, which
    /// would match no request, or `address` is not `ip:port`.
    pub fn resolve(
        mut self,
        authority: impl Into<String>,
        address: impl Into<String>,
    ) -> Result<Self, Error> {
        let (authority, address) = (authority.into(), address.into());
        let parsed = authority.parse::<http::uri::Authority>().ok();
        let names = parsed.filter(|it| {
            let port = it.port_u16().is_some_and(|port| port > 0);
            port && !it.host().is_empty() && !authority.contains('@')
        });
        if names.is_none() {
            return Err(Error::new(
                ErrorKind::Config,
                format!("{:?} is not host:port", without_user(&authority)),
            )
            .with_hint("write the port, too: 80 for http, 443 for https"));
        }
        let address = address.parse().map_err(|_| {
            Error::new(ErrorKind::Config, format!("{address:?} is not ip:port"))
                .with_hint("write an address and a port, like 127.0.0.1:8080")
        })?;
        self.pins.push((authority, address));
        Ok(self)
    }

    /// A new connection for a request, within `end`.
    fn connect(
        &self,
        request: &Request<Vec<u8>>,
        limits: &Limits,
        end: Duration,
    ) -> Result<Connection, TransportError> {
        let (host, port) = authority(request.uri())?;
        let pin = format!("{host}:{port}");
        // Names have no case.
        let mut pins = self.pins.iter();
        let found = match pins.find(|(name, _)| name.eq_ignore_ascii_case(&pin)) {
            Some((_, address)) => vec![*address],
            None => {
                let late = || late("no address for the name", limits.connect);
                let left = end.saturating_sub(now()).min(limits.connect);
                lookup::lookup(host, port, Some(left))
                    .ok_or_else(late)?
                    .map_err(|_| unresolved())?
            }
        };
        let end = end.min(now().saturating_add(limits.connect));
        let stream = dial(&found, end, limits)?;
        #[cfg(feature = "tls")]
        if is_https(request.uri()) {
            let identity = request.extensions().get::<ClientIdentity>();
            let config = self.trust.config(identity)?;
            return Connection::secured(stream, &config, host, end)
                .map_err(|error| classify(error, Phase::Connect, limits));
        }
        Ok(Connection::plain(stream))
    }

    /// Sends `request`, which is `sent` in bytes, over `connection`, hangs up
    /// those that are `gone`, and reads the whole answer; `heard` becomes true
    /// with its first byte.
    fn exchange(
        connection: &mut Connection,
        request: &Request<Vec<u8>>,
        sent: &[u8],
        limits: &Limits,
        end: Duration,
        gone: Option<Gone>,
        heard: &mut bool,
    ) -> Result<(Head, Vec<u8>, bool), TransportError> {
        let mut stream = connection.until(end);
        let wrote = stream.write_all(sent).and_then(|()| stream.flush());
        if let Err(error) = wrote {
            // A server may refuse before it has read everything, and say so.
            if !is_broken(&error) {
                return Err(classify(error, Phase::Send, limits));
            }
        }
        drop(gone);
        let first_byte = end.min(now().saturating_add(limits.first_byte));
        let (head, rest) = read_head(&mut connection.until(first_byte), request, limits, heard)?;
        let body = read_body(&mut connection.until(end), &head, &rest, limits);
        match body {
            Ok((body, clean)) => {
                let keeps = head.keeps && clean;
                Ok((head, body, keeps))
            }
            Err(error) if head.status.is_success() => Err(error),
            // A refusal needs no words: the status has said it all.
            Err(_) => Ok((head, Vec::new(), false)),
        }
    }
}

impl Transport for HttpTransport {
    fn send(
        &self,
        mut request: Request<Vec<u8>>,
        limits: &Limits,
    ) -> Result<Response<Vec<u8>>, TransportError> {
        let end = now().saturating_add(limits.attempt);
        if !cfg!(feature = "tls") && is_https(request.uri()) {
            return Err(TransportError::new(
                Kind::Tls,
                "https needs the feature tls of the library",
            ));
        }
        let headers = request.headers_mut();
        headers.entry(header::USER_AGENT).or_insert(USER_AGENT);
        let sent = http1::encode(&request);
        request.body_mut().zeroize();
        let route = Route::of(&request)?;
        let (kept, gone) = self.pool.take(&route);
        let interrupt = Interrupt::of(&request);
        let mut again = kept.is_some() && request.method().is_idempotent();
        let mut gone = Some(gone);
        let mut connection = match kept {
            Some(kept) => kept,
            None => self.connect(&request, limits, end)?,
        };
        let (head, body, keeps) = loop {
            let armed = match &interrupt {
                Some(interrupt) => Some(interrupt.on_raise(connection.hang_up().map_err(unsent)?)),
                None => None,
            };
            let mut heard = false;
            let exchanged = Self::exchange(
                &mut connection,
                &request,
                &sent,
                limits,
                end,
                gone.take(),
                &mut heard,
            );
            drop(armed);
            let raised = interrupt.as_ref().is_some_and(Interrupt::is_raised);
            match exchanged {
                // A server may close a connection that it kept at the moment at
                // which it is used again (RFC 9112, 9.3.1).
                Err(error) if again && !heard && !raised && error.kind() == Kind::Closed => {
                    again = false;
                    connection = self.connect(&request, limits, end)?;
                }
                exchanged => break exchanged?,
            }
        };
        if keeps {
            self.pool.keep(route, connection);
        }
        let mut response = Response::new(body);
        *response.status_mut() = head.status;
        *response.headers_mut() = head.headers;
        Ok(response)
    }
}

/// Host and port of a URI that is to be asked.
fn authority(uri: &Uri) -> Result<(&str, u16), TransportError> {
    let host = uri.host().filter(|host| !host.is_empty());
    let host = host.ok_or_else(|| TransportError::new(Kind::Resolve, "the URL names no host"))?;
    let default = if is_https(uri) { 443 } else { 80 };
    Ok((host, uri.port_u16().unwrap_or(default)))
}

fn is_https(uri: &Uri) -> bool {
    uri.scheme() == Some(&Scheme::HTTPS)
}

/// The first of `addresses` that takes a connection. Each gets a fair share of
/// the time that is left.
fn dial(
    addresses: &[SocketAddr],
    end: Duration,
    limits: &Limits,
) -> Result<TcpStream, TransportError> {
    let mut last = unresolved();
    for (tried, address) in addresses.iter().enumerate() {
        let left = end.saturating_sub(now());
        if left.is_zero() {
            return Err(late("no connection", limits.connect));
        }
        let others = u32::try_from(addresses.len() - tried).unwrap_or(u32::MAX);
        let share = (left / others).max(Duration::from_millis(1));
        match TcpStream::connect_timeout(address, share) {
            Ok(stream) => {
                // Small requests, each of which is waited for.
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Err(error) => last = classify(error, Phase::Connect, limits),
        }
    }
    Err(last)
}

/// Reads up to the end of the head that counts; and what came after it.
fn read_head(
    stream: &mut Timed<'_>,
    request: &Request<Vec<u8>>,
    limits: &Limits,
    heard: &mut bool,
) -> Result<(Head, Zeroizing<Vec<u8>>), TransportError> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(FIRST_ROOM));
    let (mut seen, mut interim) = (0usize, 0);
    loop {
        while let Some((head, length)) =
            http1::head(&bytes, request.method(), limits.header_lines).map_err(malformed)?
        {
            seen += length;
            within(limits, seen)?;
            bytes.drain(..length);
            if !head.status.is_informational() {
                return Ok((head, bytes));
            }
            interim += 1;
            if interim > MOST_INTERIM || head.status == StatusCode::SWITCHING_PROTOCOLS {
                return Err(malformed(Malformed::Nonsense));
            }
        }
        within(limits, seen + bytes.len())?;
        match read_more(stream, &mut bytes) {
            Ok(0) => return Err(closed()),
            Ok(_) => *heard = true,
            Err(error) => return Err(classify(error, Phase::Head, limits)),
        }
    }
}

/// Whether headers of so many bytes may be.
fn within(limits: &Limits, bytes: usize) -> Result<(), TransportError> {
    if bytes > limits.header_bytes {
        return Err(TransportError::new(
            Kind::TooLarge,
            "the answer's headers are too large",
        ));
    }
    Ok(())
}

/// Appends what comes to `bytes`; what was outgrown is wiped.
fn read_more(stream: &mut Timed<'_>, bytes: &mut Zeroizing<Vec<u8>>) -> io::Result<usize> {
    let held = bytes.len();
    if bytes.capacity() - held < FIRST_ROOM / 4 {
        let mut larger = Zeroizing::new(Vec::with_capacity(bytes.capacity() * 2));
        larger.extend_from_slice(bytes);
        *bytes = larger;
    }
    let room = bytes.capacity();
    bytes.resize(room, 0);
    let read = stream.read(&mut bytes[held..]);
    bytes.truncate(held + read.as_ref().copied().unwrap_or(0));
    read
}

/// Reads the body; and whether nothing came after it.
fn read_body(
    stream: &mut Timed<'_>,
    head: &Head,
    rest: &[u8],
    limits: &Limits,
) -> Result<(Vec<u8>, bool), TransportError> {
    let mut body = Body::new(head.framing, limits.body_bytes).map_err(malformed)?;
    let mut clean = body.feed(rest).map_err(malformed)? == rest.len();
    if !body.is_done() {
        clean = read_rest(stream, &mut body, limits)?;
    }
    Ok((body.take(), clean))
}

/// Reads what did not come with the head; and whether nothing came after it.
/// A token does: the stack of most requests, touched for the first time by a
/// thread that has just begun, is small without this.
#[inline(never)]
fn read_rest(
    stream: &mut Timed<'_>,
    body: &mut Body,
    limits: &Limits,
) -> Result<bool, TransportError> {
    let mut clean = true;
    let mut piece = Zeroizing::new([0; 8192]);
    while !body.is_done() {
        match stream.read(&mut piece[..]) {
            Ok(0) if body.is_whole_at_end() => break,
            Ok(0) => return Err(closed()),
            Ok(read) => clean = body.feed(&piece[..read]).map_err(malformed)? == read,
            Err(error) => return Err(classify(error, Phase::Body, limits)),
        }
    }
    Ok(clean)
}

/// What was going on when something failed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Connect,
    Send,
    Head,
    Body,
}

fn late(what: &str, limit: Duration) -> TransportError {
    TransportError::new(Kind::Timeout, format!("{what} within {}", Tenths(limit)))
}

fn unresolved() -> TransportError {
    TransportError::new(Kind::Resolve, "the name has no address")
}

/// This process has no more file descriptors, say.
fn unsent(error: io::Error) -> TransportError {
    TransportError::new(Kind::Connect, "no connection could be prepared").with_source(error)
}

fn closed() -> TransportError {
    TransportError::new(
        Kind::Closed,
        "the connection was closed before a whole answer",
    )
}

fn malformed(how: Malformed) -> TransportError {
    let (kind, what) = match how {
        Malformed::Nonsense => (Kind::Protocol, "the answer is not HTTP that makes sense"),
        Malformed::TooManyLines => (Kind::TooLarge, "the answer has too many headers"),
        Malformed::TooLong => (Kind::TooLarge, "the answer's body is too large"),
    };
    TransportError::new(kind, what)
}

/// Whether the other side hung up, as opposed to: took too long.
fn is_broken(error: &io::Error) -> bool {
    use io::ErrorKind as K;
    matches!(
        error.kind(),
        K::BrokenPipe | K::ConnectionReset | K::ConnectionAborted
    )
}

fn classify(error: io::Error, phase: Phase, limits: &Limits) -> TransportError {
    use io::ErrorKind as K;
    #[cfg(feature = "tls")]
    if let Some(refusal) = tls::refusal(&error) {
        return TransportError::new(Kind::Tls, refusal).with_source(error);
    }
    if matches!(error.kind(), K::TimedOut | K::WouldBlock) {
        return match phase {
            Phase::Connect => late("no connection", limits.connect),
            Phase::Send | Phase::Head => late("no answer", limits.first_byte),
            Phase::Body => late("no whole answer", limits.attempt),
        };
    }
    let (kind, message) = match error.kind() {
        K::ConnectionRefused => (Kind::Connect, "the connection was refused"),
        K::HostUnreachable | K::NetworkUnreachable | K::NetworkDown | K::AddrNotAvailable => {
            (Kind::Connect, "the address cannot be reached")
        }
        K::PermissionDenied => (Kind::Connect, "this system forbids the connection"),
        // An address that needs a zone, say; nothing was sent.
        K::InvalidInput if phase == Phase::Connect => {
            (Kind::Connect, "the address cannot be reached")
        }
        K::ConnectionReset | K::ConnectionAborted | K::BrokenPipe => {
            (Kind::Closed, "the connection was reset")
        }
        K::UnexpectedEof => return closed(),
        _ if phase == Phase::Connect => (Kind::Connect, "no connection could be made"),
        _ => (Kind::Closed, "the connection failed"),
    };
    TransportError::new(kind, message).with_source(error)
}

impl fmt::Debug for HttpTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HttpTransport")
    }
}

#[cfg(all(test, not(gce_auth_loom)))]
mod tests;
