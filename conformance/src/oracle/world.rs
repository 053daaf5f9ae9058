//! The world of a scenario: a transport that sends everything to the scripted server, a clock that
//! stands still, a queue for what runs in the background, and google-auth's settings.

use std::{
    fmt, fs, io,
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};

use gce_auth::{
    Error, MetadataClient, MetadataClientBuilder, RetryPolicy,
    testing::{HandClock, HandQueue},
    time::Clock as _,
    transport::{HttpTransport, Limits, Transport, TransportError},
};
use http::{HeaderName, HeaderValue, Request, Response, Uri};
use serde_json::{Value, json};

use super::{
    answer::{Failure, Outcome},
    environment::Environment,
    scopes::Texts,
};

/// The hosts of the metadata server, which alone are spoken to over HTTPS.
const METADATA_HOSTS: [&str; 2] = ["metadata.google.internal", "169.254.169.254"];
/// Long enough for any number of attempts: the clock stands still.
const ALL_DAY: Duration = Duration::from_secs(24 * 3600);

pub(super) struct World {
    pub(super) clock: Arc<HandClock>,
    pub(super) queue: Arc<HandQueue>,
    pub(super) texts: Arc<Texts>,
    pub(super) environment: Environment,
    transport: Arc<Rewriting>,
    control: String,
    paths: Value,
}

impl World {
    pub(super) fn new(scenario: &Value) -> io::Result<Self> {
        let endpoints = &scenario["endpoints"];
        let text = |name: &str| endpoints[name].as_str().unwrap_or_default().to_owned();
        let secure = text("mds_tls");
        let mut http = HttpTransport::new();
        for host in METADATA_HOSTS.iter().filter(|_| !secure.is_empty()) {
            http = http
                .resolve(format!("{host}:443"), secure.as_str())
                .map_err(io::Error::other)?;
        }
        let texts = Arc::new(Texts::default());
        let broken = |error| io::Error::new(io::ErrorKind::InvalidData, error);
        let transport = Rewriting {
            http,
            to: text("rewrite_to").parse().map_err(broken)?,
            origin: text("origin_header").parse().map_err(io::Error::other)?,
            texts: Arc::clone(&texts),
        };
        let start = scenario["clock"].as_f64().unwrap_or_default();
        let clock = HandClock::at(start as u64).frozen(true);
        clock.advance(Duration::from_secs_f64(start.fract()));
        Ok(Self {
            clock: Arc::new(clock),
            queue: Arc::new(HandQueue::new()),
            texts,
            environment: Environment::new(scenario),
            transport: Arc::new(transport),
            control: text("control"),
            paths: scenario["paths"].clone(),
        })
    }

    /// Tells the server which step follows.
    pub(super) fn mark(&self, index: usize, phase: &str) -> io::Result<()> {
        let uri = format!("{}step?n={index}&phase={phase}", self.control);
        let request = Request::get(uri)
            .body(Vec::new())
            .map_err(io::Error::other)?;
        let sent = self.transport.http.send(request, &Limits::new());
        sent.map(drop).map_err(io::Error::other)
    }

    /// The sleeps since the last time, in seconds.
    pub(super) fn sleeps(&self) -> Value {
        let sleeps = self.clock.take_sleeps();
        sleeps
            .iter()
            .map(|sleep| json!(sleep.as_secs_f64()))
            .collect()
    }

    /// Moves the clock, back where `seconds` are below zero.
    pub(super) fn advance(&self, seconds: &Value) -> Result<(), Failure> {
        let seconds = seconds.as_f64().unwrap_or_default();
        let distance = Duration::try_from_secs_f64(seconds.abs());
        let distance = distance.map_err(|_| Failure::unusable("no distance in time"))?;
        if seconds < 0.0 {
            self.clock.turn_back(distance);
        } else {
            self.clock.advance(distance);
        }
        Ok(())
    }

    /// Seconds from the scenario's now to `moment`.
    pub(super) fn until(&self, moment: Option<SystemTime>) -> Value {
        let Some(moment) = moment else {
            return Value::Null;
        };
        let now = self.clock.now().system_time();
        json!(match moment.duration_since(now) {
            Ok(ahead) => ahead.as_secs_f64(),
            Err(behind) => -behind.duration().as_secs_f64(),
        })
    }

    /// The moment that is this many seconds from the scenario's now.
    pub(super) fn moment(&self, seconds: &Value) -> Option<SystemTime> {
        let seconds = seconds.as_f64()?;
        let now = self.clock.now().system_time();
        let distance = Duration::from_secs_f64(seconds.abs());
        Some(if seconds < 0.0 {
            now - distance
        } else {
            now + distance
        })
    }

    /// A client with google-auth's settings, and its name for the server.
    pub(super) fn client(&self) -> Result<MetadataClient, Error> {
        let builder = self.plain();
        if self.environment.names_metadata_server() {
            builder.build()
        } else {
            builder.endpoint(METADATA_HOSTS[0]).build()
        }
    }

    /// A client of the server at `host`.
    pub(super) fn client_of(&self, host: &str) -> Result<MetadataClient, Error> {
        self.plain().endpoint(host).build()
    }

    fn plain(&self) -> MetadataClientBuilder {
        let path = |name: &str| self.paths[name].as_str().unwrap_or_default();
        MetadataClient::builder()
            .transport(Arc::clone(&self.transport) as _)
            .clock(Arc::clone(&self.clock) as _)
            .executor(Arc::clone(&self.queue) as _)
            .retry(google_auth())
            .exact_freshness(true)
            .dmi_product_name_file(path("gce_product_name_file"))
            .mtls_dir(path("mds_mtls_dir"))
            .workload_credentials_dir(path("workload_spiffe_dir"))
    }
}

/// google-auth's timing: without jitter, and without an end but its own.
pub(super) fn google_auth() -> RetryPolicy {
    RetryPolicy::google_auth()
        .jitter(0.0)
        .longest_wait(ALL_DAY)
        .budget(ALL_DAY)
}

/// Sends what is not for this machine, nor HTTPS to the metadata server, to the scripted server,
/// with the true origin in a header.
struct Rewriting {
    http: HttpTransport,
    to: Uri,
    origin: HeaderName,
    texts: Arc<Texts>,
}

impl Rewriting {
    fn is_direct(uri: &Uri) -> bool {
        let host = uri.host().unwrap_or_default();
        matches!(host, "127.0.0.1" | "localhost")
            || (uri.scheme_str() == Some("https") && METADATA_HOSTS.contains(&host))
    }

    fn rewritten(&self, mut request: Request<Vec<u8>>) -> Request<Vec<u8>> {
        let uri = request.uri().clone();
        if Self::is_direct(&uri) {
            return request;
        }
        let authority = uri.authority().map_or("", |authority| authority.as_str());
        let origin = format!("{}://{authority}", uri.scheme_str().unwrap_or("http"));
        let mut parts = self.to.clone().into_parts();
        parts.path_and_query = uri.path_and_query().cloned();
        if let (Ok(to), Ok(origin)) = (Uri::from_parts(parts), HeaderValue::try_from(origin)) {
            *request.uri_mut() = to;
            request.headers_mut().insert(&self.origin, origin);
        }
        request
    }
}

impl Transport for Rewriting {
    fn send(
        &self,
        request: Request<Vec<u8>>,
        limits: &Limits,
    ) -> Result<Response<Vec<u8>>, TransportError> {
        let path = request.uri().path().to_owned();
        let direct = Self::is_direct(request.uri());
        let mut response = self.http.send(self.rewritten(request), limits)?;
        if !direct && path.starts_with("/computeMetadata/") {
            // The scripted server plays any metadata server, but says so only for the usual names.
            let headers = response.headers_mut();
            headers
                .entry("metadata-flavor")
                .or_insert(HeaderValue::from_static("Google"));
        }
        self.texts.note(&path, &response);
        Ok(response)
    }
}

impl fmt::Debug for Rewriting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rewriting")
            .field("to", &self.to)
            .finish_non_exhaustive()
    }
}

/// A file of the scenario changes.
pub(super) fn write_file(step: &Value) -> Outcome {
    let path = Path::new(step["path"].as_str().unwrap_or_default());
    let content = step["content"].as_str().unwrap_or_default();
    let written = path
        .parent()
        .map_or(Ok(()), fs::create_dir_all)
        .and_then(|()| fs::write(path, content));
    written.map(|()| Value::Null).map_err(Into::into)
}
