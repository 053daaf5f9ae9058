//! The transport that comes with the library: HTTP/1.1 over the standard
//! library's sockets.
//!
//! HTTP libraries log what they carry, tokens included, at their most verbose
//! level. This one logs nothing.

mod answer;
mod connection;
mod dial;
mod failure;
mod pool;

use std::{
    fmt,
    io::Write as _,
    net::SocketAddr,
    sync::{Arc, OnceLock},
    time::Duration,
};

use http::{HeaderValue, Request, Response, header};
use zeroize::Zeroize as _;

use self::{
    answer::{read_body, read_head},
    connection::{Connection, now},
    dial::{authority, dial, is_https},
    failure::{Phase, classify, is_broken, late, unresolved, unsent},
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
        error::{Error, ErrorKind},
    },
    wire::http1::{self, Head},
};

const USER_AGENT: HeaderValue =
    HeaderValue::from_static(concat!("gce-auth/", env!("CARGO_PKG_VERSION")));

/// The transport that comes with the library: HTTP/1.1 over TCP, with kept
/// connections; no proxy, no redirect, no cookie, no compression. HTTPS with
/// the feature `tls`.
///
/// Wrap it to inspect or change requests on their way: see [`Transport`].
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
    /// Returns a transport with connections of its own.
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
        let begin = now();
        let end = begin.saturating_add(limits.attempt);
        if !cfg!(feature = "tls") && is_https(request.uri()) {
            return Err(TransportError::new(
                Kind::Tls,
                "https needs the feature tls of the library",
            ));
        }
        let headers = request.headers_mut();
        if !headers.contains_key(header::USER_AGENT) {
            headers.append(header::USER_AGENT, USER_AGENT);
        }
        let sent = http1::encode(&request);
        request.body_mut().zeroize();
        let route = Route::of(&request)?;
        let (kept, gone) = self.pool.take(&route, begin);
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

impl fmt::Debug for HttpTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HttpTransport")
    }
}

#[cfg(all(test, not(gce_auth_loom)))]
mod tests;
