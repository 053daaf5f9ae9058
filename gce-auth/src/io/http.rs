//! The transport that comes with the library. The only file that names ureq.

use std::{
    io,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};

use http::{HeaderValue, Method, Request, Response, Uri, header};
use ureq::{
    Agent,
    config::{AutoHeaderValue, Config},
    unversioned::{
        resolver::{ResolvedSocketAddrs, Resolver},
        transport::{DefaultConnector, NextTimeout},
    },
};

use crate::io::{
    lookup,
    transport::{Limits, Transport, TransportError, TransportErrorKind as Kind},
};

const USER_AGENT: HeaderValue =
    HeaderValue::from_static(concat!("gce-auth/", env!("CARGO_PKG_VERSION")));

/// HTTP/1.1 over TCP, with kept connections; no proxy, no redirect, no cookie,
/// no compression.
#[derive(Default)]
pub(crate) struct HttpTransport {
    /// The agent, and the process that may use its connections: after a fork
    /// they belong to the parent.
    agent: Mutex<Option<(u32, Agent)>>,
}

/// The transport that every client of this process shares by default, so that
/// they share connections as well. Nothing happens before the first request.
pub(crate) fn shared() -> Arc<dyn Transport> {
    static SHARED: OnceLock<Arc<HttpTransport>> = OnceLock::new();
    Arc::clone(SHARED.get_or_init(Arc::default)) as Arc<dyn Transport>
}

impl HttpTransport {
    fn agent(&self) -> Agent {
        let process = std::process::id();
        let mut held = self.agent.lock().unwrap_or_else(PoisonError::into_inner);
        match &*held {
            Some((owner, agent)) if *owner == process => agent.clone(),
            _ => {
                let agent = new_agent();
                *held = Some((process, agent.clone()));
                agent
            }
        }
    }
}

fn new_agent() -> Agent {
    let config = Config::builder()
        .proxy(None)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .http_status_as_error(false)
        .user_agent(AutoHeaderValue::None)
        .accept(AutoHeaderValue::None)
        .accept_encoding(AutoHeaderValue::None)
        .max_idle_connections(8)
        .max_idle_connections_per_host(4)
        .max_idle_age(Duration::from_secs(60))
        .build();
    Agent::with_parts(config, DefaultConnector::default(), Lookup)
}

impl Transport for HttpTransport {
    fn send(
        &self,
        mut request: Request<Vec<u8>>,
        limits: &Limits,
    ) -> Result<Response<Vec<u8>>, TransportError> {
        let agent = self.agent();
        request
            .headers_mut()
            .entry(header::USER_AGENT)
            .or_insert(USER_AGENT);
        let bodiless = matches!(
            *request.method(),
            Method::GET | Method::HEAD | Method::DELETE
        ) && request.body().is_empty();
        let sent = if bodiless {
            let request = agent.configure_request(request.map(|_| ()));
            agent.run(limited(request, limits))
        } else {
            agent.run(limited(agent.configure_request(request), limits))
        };
        let (parts, mut body) = sent.map_err(|error| classify(error, limits))?.into_parts();
        if parts.headers.len() > limits.header_lines {
            return Err(TransportError::new(
                Kind::TooLarge,
                format!("the answer has more than {} headers", limits.header_lines),
            ));
        }
        let body = body
            .with_config()
            .limit(limits.body_bytes as u64)
            .read_to_vec()
            .map_err(|error| classify(error, limits))?;
        Ok(Response::from_parts(parts, body))
    }
}

fn limited<S: ureq::AsSendBody>(
    request: ureq::config::ConfigBuilder<ureq::typestate::HttpCrateScope<S>>,
    limits: &Limits,
) -> Request<S> {
    request
        .timeout_global(Some(limits.attempt))
        .timeout_resolve(Some(limits.connect))
        .timeout_connect(Some(limits.connect))
        .timeout_recv_response(Some(limits.first_byte))
        .max_response_header_size(limits.header_bytes)
        .build()
}

fn classify(error: ureq::Error, limits: &Limits) -> TransportError {
    use ureq::{Error as E, Timeout};
    let (kind, message) = match &error {
        E::Timeout(phase) => {
            let (what, limit) = match phase {
                Timeout::Resolve => ("no address for the name", limits.connect),
                Timeout::Connect => ("no connection", limits.connect),
                Timeout::RecvResponse => ("no answer", limits.first_byte),
                _ => ("no whole answer", limits.attempt),
            };
            let limit = limit.as_secs_f64();
            return TransportError::new(Kind::Timeout, format!("{what} within {limit:.1} s"));
        }
        E::Io(error) => io_kind(error),
        E::HostNotFound => (Kind::Resolve, "the name has no address"),
        E::ConnectionFailed => (Kind::Connect, "no connection could be made"),
        E::BodyExceedsLimit(_) => (Kind::TooLarge, "the answer's body is too large"),
        E::LargeResponseHeader(..) => (Kind::TooLarge, "the answer's headers are too large"),
        E::Tls(_) | E::TlsRequired => (Kind::Tls, "no secure connection could be made"),
        E::BodyStalled => (
            Kind::Closed,
            "the connection broke in the middle of the answer",
        ),
        _ => (Kind::Protocol, "the answer is not HTTP that makes sense"),
    };
    TransportError::new(kind, message).with_source(error)
}

fn io_kind(error: &io::Error) -> (Kind, &'static str) {
    use io::ErrorKind as K;
    match error.kind() {
        K::ConnectionRefused => (Kind::Connect, "the connection was refused"),
        K::HostUnreachable | K::NetworkUnreachable | K::NetworkDown | K::AddrNotAvailable => {
            (Kind::Connect, "the address cannot be reached")
        }
        K::PermissionDenied => (Kind::Connect, "this system forbids the connection"),
        K::ConnectionReset | K::ConnectionAborted | K::BrokenPipe => {
            (Kind::Closed, "the connection was reset")
        }
        K::UnexpectedEof => (
            Kind::Closed,
            "the connection was closed before a whole answer",
        ),
        K::TimedOut | K::WouldBlock => (Kind::Timeout, "no answer in time"),
        K::InvalidData | K::InvalidInput => {
            (Kind::Protocol, "the answer is not HTTP that makes sense")
        }
        _ => (Kind::Closed, "the connection failed"),
    }
}

/// Literals parsed, names looked up within what is left of the attempt.
#[derive(Debug)]
struct Lookup;

impl Resolver for Lookup {
    fn resolve(
        &self,
        uri: &Uri,
        _config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let host = uri.host().ok_or(ureq::Error::HostNotFound)?;
        let default_port = if uri.scheme_str() == Some("https") {
            443
        } else {
            80
        };
        let port = uri.port_u16().unwrap_or(default_port);
        let limit = (!timeout.after.is_not_happening()).then_some(*timeout.after);
        let found = lookup::lookup(host, port, limit)
            .ok_or(ureq::Error::Timeout(timeout.reason))?
            .map_err(|_| ureq::Error::HostNotFound)?;
        let mut addresses = self.empty();
        for address in found.into_iter().take(16) {
            addresses.push(address);
        }
        if addresses.is_empty() {
            return Err(ureq::Error::HostNotFound);
        }
        Ok(addresses)
    }
}

impl std::fmt::Debug for HttpTransport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HttpTransport")
    }
}
