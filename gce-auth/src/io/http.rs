//! The transport that comes with the library. The only file that names ureq.

use std::{
    io,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};

use http::{HeaderValue, Method, Request, Response, Uri, header};
use ureq::{
    Agent,
    config::{AutoHeaderValue, Config, ConfigBuilder},
    typestate::{AgentScope, HttpCrateScope},
    unversioned::{
        resolver::{ResolvedSocketAddrs, Resolver},
        transport::{DefaultConnector, NextTimeout},
    },
};

#[cfg(feature = "tls")]
use crate::io::tls;
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
    /// The same for HTTPS, made when it is first needed.
    #[cfg(feature = "tls")]
    secure: Mutex<Option<(u32, Agent)>>,
}

/// The transport that every client of this process shares by default, so that
/// they share connections as well. Nothing happens before the first request.
pub(crate) fn shared() -> Arc<dyn Transport> {
    static SHARED: OnceLock<Arc<HttpTransport>> = OnceLock::new();
    Arc::clone(SHARED.get_or_init(Arc::default)) as Arc<dyn Transport>
}

impl HttpTransport {
    fn agent(&self, uri: &Uri) -> Result<Agent, TransportError> {
        #[cfg(feature = "tls")]
        if uri.scheme() == Some(&http::uri::Scheme::HTTPS) {
            return of_this_process(&self.secure, || {
                let config = config().tls_config(tls_config()?).build();
                Ok(new_agent(config))
            });
        }
        #[cfg(not(feature = "tls"))]
        let _ = uri;
        of_this_process(&self.agent, || Ok(new_agent(config().build())))
    }
}

/// What `held` holds for this process, else what `make` makes.
fn of_this_process(
    held: &Mutex<Option<(u32, Agent)>>,
    make: impl FnOnce() -> Result<Agent, TransportError>,
) -> Result<Agent, TransportError> {
    let process = std::process::id();
    let mut held = held.lock().unwrap_or_else(PoisonError::into_inner);
    match &*held {
        Some((owner, agent)) if *owner == process => Ok(agent.clone()),
        _ => {
            let agent = make()?;
            *held = Some((process, agent.clone()));
            Ok(agent)
        }
    }
}

fn new_agent(config: Config) -> Agent {
    Agent::with_parts(config, DefaultConnector::default(), Lookup)
}

/// Trusts what the system trusts; reads its certificates.
#[cfg(feature = "tls")]
fn tls_config() -> Result<ureq::tls::TlsConfig, TransportError> {
    use ureq::tls::{Certificate, RootCerts, TlsConfig, TlsProvider};
    let roots: Vec<Certificate<'static>> = tls::roots()?
        .iter()
        .map(|der| Certificate::from_der(der).to_owned())
        .collect();
    Ok(TlsConfig::builder()
        .provider(TlsProvider::Rustls)
        .root_certs(RootCerts::new_with_certs(&roots))
        .unversioned_rustls_crypto_provider(tls::provider())
        .build())
}

fn config() -> ConfigBuilder<AgentScope> {
    Config::builder()
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
}

impl Transport for HttpTransport {
    fn send(
        &self,
        mut request: Request<Vec<u8>>,
        limits: &Limits,
    ) -> Result<Response<Vec<u8>>, TransportError> {
        let agent = self.agent(request.uri())?;
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
    request: ConfigBuilder<HttpCrateScope<S>>,
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
    #[cfg(feature = "tls")]
    if let Some(refusal) = match &error {
        E::Io(error) => tls::refusal(error),
        E::Rustls(error) => Some(tls::describe(error)),
        _ => None,
    } {
        return TransportError::new(Kind::Tls, refusal).with_source(error);
    }
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
