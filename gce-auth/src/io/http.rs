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
use crate::io::{identity::ClientIdentity, tls};
use crate::io::{
    lookup,
    transport::{Limits, Transport, TransportError, TransportErrorKind as Kind},
};

const USER_AGENT: HeaderValue =
    HeaderValue::from_static(concat!("gce-auth/", env!("CARGO_PKG_VERSION")));

/// The transport that comes with the library: HTTP/1.1 over TCP, with kept
/// connections; no proxy, no redirect, no cookie, no compression. HTTPS with
/// the feature `tls`.
///
/// Of use where requests are to be looked at, or changed, on their way: see
/// [`Transport`].
#[derive(Default)]
pub struct HttpTransport {
    /// The agent, and the process that may use its connections: after a fork
    /// they belong to the parent.
    agent: Mutex<Option<(u32, Agent)>>,
    /// The same for HTTPS, made when it is first needed.
    #[cfg(feature = "tls")]
    secure: Mutex<Option<(u32, Agent)>>,
    /// The same for requests with a client certificate: the one seen last.
    #[cfg(feature = "tls")]
    mutual: Mutex<Option<(ClientIdentity, u32, Agent)>>,
    pins: Pins,
}

/// Authorities, and the addresses to connect to instead of looking them up.
type Pins = Arc<Vec<(String, String)>>;

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
    /// (`host:port`) instead of looking its name up; the name in the request
    /// and in the certificate stays. What `curl --resolve` does.
    #[must_use]
    pub fn resolve(mut self, authority: impl Into<String>, address: impl Into<String>) -> Self {
        let mut pins = self.pins.to_vec();
        pins.push((authority.into(), address.into()));
        self.pins = Arc::new(pins);
        self
    }

    fn agent(&self, request: &Request<Vec<u8>>) -> Result<Agent, TransportError> {
        #[cfg(feature = "tls")]
        if request.uri().scheme() == Some(&http::uri::Scheme::HTTPS) {
            if let Some(identity) = request.extensions().get::<ClientIdentity>() {
                return self.mutual_agent(identity);
            }
            return of_this_process(&self.secure, || {
                let config = config().tls_config(tls_config()?).build();
                Ok(self.new_agent(config))
            });
        }
        #[cfg(not(feature = "tls"))]
        let _ = request;
        of_this_process(&self.agent, || Ok(self.new_agent(config().build())))
    }

    #[cfg(feature = "tls")]
    fn mutual_agent(&self, identity: &ClientIdentity) -> Result<Agent, TransportError> {
        let process = std::process::id();
        let mut held = self.mutual.lock().unwrap_or_else(PoisonError::into_inner);
        match &*held {
            Some((holder, owner, agent)) if holder.is(identity) && *owner == process => {
                Ok(agent.clone())
            }
            _ => {
                let config = config().tls_config(mutual_config(identity)?).build();
                let agent = self.new_agent(config);
                *held = Some((identity.clone(), process, agent.clone()));
                Ok(agent)
            }
        }
    }

    fn new_agent(&self, config: Config) -> Agent {
        let lookup = Lookup(Arc::clone(&self.pins));
        Agent::with_parts(config, DefaultConnector::default(), lookup)
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

/// Trusts what the system trusts; reads its certificates.
#[cfg(feature = "tls")]
fn tls_config() -> Result<ureq::tls::TlsConfig, TransportError> {
    Ok(trusting(&tls::roots()?).build())
}

/// Trusts the root of `identity` alone, and shows its certificate.
#[cfg(feature = "tls")]
fn mutual_config(identity: &ClientIdentity) -> Result<ureq::tls::TlsConfig, TransportError> {
    use ureq::tls::{Certificate, ClientCert, PrivateKey};
    let key = PrivateKey::from_pem(identity.client_pem())
        .map_err(|_| TransportError::new(Kind::Tls, "the client's private key cannot be used"))?;
    let chain: Vec<Certificate<'static>> = identity
        .certificates()
        .iter()
        .map(|der| Certificate::from_der(der).to_owned())
        .collect();
    let shown = ClientCert::new_with_certs(&chain, key);
    let roots = if identity.root_pem().is_empty() {
        tls::roots()?
    } else {
        identity.roots()
    };
    Ok(trusting(&roots).client_cert(Some(shown)).build())
}

#[cfg(feature = "tls")]
fn trusting(roots: &[Vec<u8>]) -> ureq::tls::TlsConfigBuilder {
    use ureq::tls::{Certificate, RootCerts, TlsConfig, TlsProvider};
    let roots: Vec<Certificate<'static>> = roots
        .iter()
        .map(|der| Certificate::from_der(der).to_owned())
        .collect();
    TlsConfig::builder()
        .provider(TlsProvider::Rustls)
        .root_certs(RootCerts::new_with_certs(&roots))
        .unversioned_rustls_crypto_provider(tls::provider())
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
        let agent = self.agent(&request)?;
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
        let most = limits.body_bytes as u64;
        let body = if body.content_length().is_some_and(|length| length > most) {
            // Known before a byte of it is read.
            Err(ureq::Error::BodyExceedsLimit(most))
        } else {
            body.with_config().limit(most).read_to_vec()
        };
        let body = match body {
            Ok(body) => body,
            Err(error) if parts.status.is_success() => return Err(classify(error, limits)),
            // A refusal needs no words: the status has said it all.
            Err(_) => Vec::new(),
        };
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
        // The system's, for an address that needs a zone; nothing was sent.
        K::InvalidInput if error.raw_os_error().is_some() => {
            (Kind::Connect, "the address cannot be reached")
        }
        K::InvalidData | K::InvalidInput => {
            (Kind::Protocol, "the answer is not HTTP that makes sense")
        }
        _ => (Kind::Closed, "the connection failed"),
    }
}

/// Literals parsed, names looked up within what is left of the attempt.
#[derive(Debug)]
struct Lookup(Pins);

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
        let authority = format!("{host}:{port}");
        let pinned = self.0.iter().find(|(name, _)| *name == authority);
        let (host, port) = match pinned.and_then(|(_, to)| to.rsplit_once(':')) {
            Some((host, text)) => (host, text.parse().map_err(|_| ureq::Error::HostNotFound)?),
            None => (host, port),
        };
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

#[cfg(all(test, not(gce_auth_loom)))]
mod tests {
    use std::{
        io::{BufRead as _, BufReader, Write as _},
        net::{Shutdown, TcpListener},
        thread,
    };

    use super::*;

    /// Sends one request to a server that answers with `answer`, and then says
    /// nothing more; `closes` is whether it also ends its side.
    fn ask(answer: &'static str, closes: bool) -> Result<Response<Vec<u8>>, TransportError> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let uri = format!("http://{}/", listener.local_addr().unwrap());
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let mut line = String::new();
            while reader.read_line(&mut line).unwrap() > 2 {
                line.clear();
            }
            stream.write_all(answer.as_bytes()).unwrap();
            if closes {
                stream.shutdown(Shutdown::Write).unwrap();
            }
            // Until the client hangs up.
            let _ = reader.read_line(&mut line);
        });
        let limits = Limits {
            attempt: Duration::from_millis(if closes { 30_000 } else { 200 }),
            ..Limits::new()
        };
        let transport = HttpTransport::default();
        let response = transport.send(Request::get(uri).body(Vec::new()).unwrap(), &limits);
        drop(transport);
        server.join().unwrap();
        response
    }

    #[test]
    fn a_refusal_counts_whatever_becomes_of_its_body() {
        for (answer, closes) in [
            ("HTTP/1.1 404 X\r\nContent-Length: 9\r\n\r\nshort", true),
            ("HTTP/1.1 404 X\r\nContent-Length: 9\r\n\r\nslow", false),
            ("HTTP/1.1 404 X\r\nContent-Length: 99999999\r\n\r\n", false),
            (
                "HTTP/1.1 404 X\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
                true,
            ),
        ] {
            let response = ask(answer, closes).unwrap();
            assert_eq!(response.status(), 404, "{answer:?}");
            assert!(response.body().is_empty(), "{answer:?}");
        }
        let whole = ask("HTTP/1.1 404 X\r\nContent-Length: 2\r\n\r\nno", true).unwrap();
        assert_eq!(whole.body(), b"no");
    }

    #[test]
    #[cfg(unix)]
    fn what_the_system_calls_invalid_is_not_an_answer() {
        // EINVAL: connecting to a link-local address without its zone.
        let (kind, _) = io_kind(&io::Error::from_raw_os_error(22));
        assert_eq!(kind, Kind::Connect);
        let (kind, _) = io_kind(&io::Error::from(io::ErrorKind::InvalidInput));
        assert_eq!(kind, Kind::Protocol);
    }

    #[test]
    fn a_success_counts_only_when_it_is_whole() {
        for (answer, closes, kind) in [
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort",
                true,
                Kind::Closed,
            ),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nslow",
                false,
                Kind::Timeout,
            ),
            // Too large, and known at once: nobody waits for what never comes.
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551615\r\n\r\nx",
                false,
                Kind::TooLarge,
            ),
        ] {
            assert_eq!(ask(answer, closes).unwrap_err().kind(), kind, "{answer:?}");
        }
    }
}
