//! Where the server is and how it is asked: code, else environment, else default.

use std::{
    fmt,
    hash::{Hash, Hasher},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

#[cfg(feature = "tls")]
use crate::{
    client::secure::{Mode, MutualTls},
    io::workload::Workload,
};
use crate::{
    io::{
        clock::{self, Clock},
        env::Environment,
        firmware, http,
        threads::{self, Executor},
        transport::{Limits, Transport},
    },
    values::{
        address::ByAddress,
        endpoint::Endpoint,
        error::{Error, ErrorKind},
    },
    wire::retry::RetryPolicy,
};

/// A client of the metadata server; cheap to clone.
///
/// Making one does nothing but read the environment: no connection, no thread,
/// no runtime. Every value is asked for when it is asked for, and not kept.
///
/// # Examples
/// ```no_run
/// use gce_auth::MetadataClient;
///
/// # fn main() -> Result<(), gce_auth::Error> {
/// let client = MetadataClient::new();
/// println!("{} in {}", client.blocking_project_id()?, client.blocking_zone()?);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct MetadataClient(pub(crate) Arc<Settings>);

/// Everything a call needs to know.
pub(crate) struct Settings {
    endpoint: Result<Endpoint, Error>,
    /// Whether somebody, in code or in the environment, said where the server is.
    pub(crate) configured: bool,
    /// Whether it was code that said so.
    pub(crate) in_code: bool,
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) executor: Arc<dyn Executor>,
    pub(crate) retry: RetryPolicy,
    pub(crate) limits: Limits,
    /// Whether freshness is google-auth's, to the second.
    pub(crate) exact: bool,
    pub(crate) dmi_file: PathBuf,
    /// What the environment said when the client was made.
    #[cfg(feature = "tls")]
    pub(crate) environment: Environment,
    #[cfg(feature = "tls")]
    pub(crate) workload: Workload,
    #[cfg(feature = "tls")]
    pub(crate) mutual_tls: Arc<MutualTls>,
}

impl Settings {
    /// A copy, for a request that changes some of them.
    pub(crate) fn for_one_request(&self) -> Self {
        Self {
            endpoint: self.endpoint.clone(),
            configured: self.configured,
            in_code: self.in_code,
            transport: Arc::clone(&self.transport),
            clock: Arc::clone(&self.clock),
            executor: Arc::clone(&self.executor),
            retry: self.retry.clone(),
            limits: self.limits.clone(),
            exact: self.exact,
            dmi_file: self.dmi_file.clone(),
            #[cfg(feature = "tls")]
            environment: self.environment.clone(),
            #[cfg(feature = "tls")]
            workload: self.workload.clone(),
            #[cfg(feature = "tls")]
            mutual_tls: Arc::clone(&self.mutual_tls),
        }
    }

    pub(crate) fn endpoint(&self) -> Result<&Endpoint, Error> {
        self.endpoint.as_ref().map_err(Clone::clone)
    }

    /// What makes two clients reach the same server in the same way; `None`
    /// where the endpoint makes no sense.
    pub(crate) fn reach(&self) -> Option<Reach> {
        Some(Reach {
            endpoint: self.endpoint.as_ref().ok()?.clone(),
            transport: ByAddress::of(&self.transport),
            clock: ByAddress::of(&self.clock),
            exact: self.exact,
        })
    }
}

/// The part of a registry key that says which server is asked, and how.
#[derive(PartialEq, Eq)]
pub(crate) struct Reach {
    endpoint: Endpoint,
    transport: ByAddress<dyn Transport>,
    clock: ByAddress<dyn Clock>,
    exact: bool,
}

impl Hash for Reach {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.endpoint.hash(state);
        self.transport.hash(state);
        self.clock.hash(state);
    }
}

impl MetadataClient {
    /// A client with the settings of the environment: `GCE_METADATA_HOST`, else
    /// `GCE_METADATA_ROOT`, else the address 169.254.169.254.
    ///
    /// Never fails: where the environment makes no sense, the first call says so.
    #[must_use]
    pub fn new() -> Self {
        let environment = Environment::read();
        Self(Arc::new(Self::builder().settle(&environment)))
    }

    /// A client to be configured.
    pub fn builder() -> MetadataClientBuilder {
        MetadataClientBuilder::default()
    }

    /// What a builder was given: a client, or where its server is, or neither.
    pub(crate) fn one_of(client: Option<Self>, endpoint: Option<String>) -> Result<Self, Error> {
        let client = match (client, endpoint) {
            (Some(_), Some(_)) => {
                return Err(Error::new(
                    ErrorKind::Config,
                    "both a client and an endpoint were given",
                )
                .with_hint("give the endpoint to the client's builder"));
            }
            (Some(client), None) => client,
            (None, Some(endpoint)) => Self::builder().endpoint(endpoint).build()?,
            (None, None) => Self::builder().build()?,
        };
        client.0.endpoint()?;
        Ok(client)
    }

    /// Where this client looks for the metadata server, as `host` or `host:port`.
    ///
    /// # Errors
    /// [`Config`](ErrorKind::Config) where the environment holds an address
    /// that makes no sense.
    pub fn endpoint(&self) -> Result<String, Error> {
        self.0.endpoint().map(ToString::to_string)
    }
}

impl Default for MetadataClient {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MetadataClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("MetadataClient");
        match &self.0.endpoint {
            Ok(endpoint) => out.field("endpoint", endpoint),
            Err(error) => out.field("endpoint", error),
        };
        out.field("transport", &self.0.transport)
            .finish_non_exhaustive()
    }
}

/// Configures a [`MetadataClient`].
#[derive(Clone, Debug, Default)]
#[must_use = "a builder does nothing until it is built"]
pub struct MetadataClientBuilder {
    endpoint: Option<String>,
    transport: Option<Arc<dyn Transport>>,
    clock: Option<Arc<dyn Clock>>,
    executor: Option<Arc<dyn Executor>>,
    retry: Option<RetryPolicy>,
    limits: Option<Limits>,
    dmi_file: Option<PathBuf>,
    #[cfg(feature = "tls")]
    workload_dir: Option<PathBuf>,
    #[cfg(feature = "tls")]
    mtls_dir: Option<PathBuf>,
    exact: bool,
}

impl MetadataClientBuilder {
    /// Where the metadata server is: `host`, `host:port` or `[v6-address]:port`.
    /// Beats every environment variable.
    pub fn endpoint(mut self, endpoint: impl Into<String>) -> Self {
        self.endpoint = Some(endpoint.into());
        self
    }

    /// Carries requests through this instead of the library's own HTTP.
    pub fn transport(mut self, transport: Arc<dyn Transport>) -> Self {
        self.transport = Some(transport);
        self
    }

    /// Takes the time from here.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Runs blocking work here instead of on the library's own threads.
    pub fn executor(mut self, executor: Arc<dyn Executor>) -> Self {
        self.executor = Some(executor);
        self
    }

    /// How often and how long an operation is tried.
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.retry = Some(policy);
        self
    }

    /// How long one attempt may take and how much it may bring.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = Some(limits);
        self
    }

    /// Reads the machine's product name from this file instead of
    /// `/sys/class/dmi/id/product_name`.
    pub fn dmi_product_name_file(mut self, file: impl Into<PathBuf>) -> Self {
        self.dmi_file = Some(file.into());
        self
    }

    /// Looks for the certificates of the workload in this directory instead of
    /// `/var/run/secrets/workload-spiffe-credentials`.
    #[cfg(feature = "tls")]
    pub fn workload_credentials_dir(mut self, directory: impl Into<PathBuf>) -> Self {
        self.workload_dir = Some(directory.into());
        self
    }

    /// Looks for the certificates of HTTPS to the metadata server (`root.crt` and
    /// `client.key`) in this directory instead of `/run/google-mds-mtls`.
    /// `GCE_METADATA_MTLS_MODE` says whether they are used.
    #[cfg(feature = "tls")]
    pub fn mtls_dir(mut self, directory: impl Into<PathBuf>) -> Self {
        self.mtls_dir = Some(directory.into());
        self
    }

    /// Freshness to the second, as google-auth has it: no jitter, no skew, no
    /// gentle polling, no quiet time after a failure.
    #[cfg(any(test, feature = "test-util"))]
    pub fn exact_freshness(mut self) -> Self {
        self.exact = true;
        self
    }

    /// Builds the client; reads the environment, and does nothing else.
    ///
    /// # Errors
    /// [`Config`](ErrorKind::Config) where the endpoint, or the variable it
    /// comes from, makes no sense.
    pub fn build(self) -> Result<MetadataClient, Error> {
        let settings = self.settle(&Environment::read());
        settings.endpoint()?;
        Ok(MetadataClient(Arc::new(settings)))
    }

    /// A client that no variable has a say in.
    #[cfg(any(test, feature = "test-util"))]
    pub(crate) fn build_without_environment(self) -> MetadataClient {
        MetadataClient(Arc::new(self.settle(&Environment::default())))
    }

    /// A client in an environment of a test's own.
    #[cfg(all(test, feature = "tls"))]
    pub(crate) fn build_in(self, environment: &Environment) -> MetadataClient {
        MetadataClient(Arc::new(self.settle(environment)))
    }

    fn settle(self, environment: &Environment) -> Settings {
        let in_code = self.endpoint.is_some();
        let (endpoint, configured) = endpoint(self.endpoint.as_deref(), environment);
        let (limits, endpoint) = match (self.limits, timeout(environment)) {
            (Some(limits), _) | (None, Ok(limits)) => (limits, endpoint),
            (None, Err(error)) => (Limits::new(), Err(error)),
        };
        #[cfg(feature = "tls")]
        let (mtls_mode, endpoint) = match Mode::parse(environment.mtls_mode.as_deref()) {
            Ok(mode) => (mode, endpoint),
            Err(error) => (Mode::None, Err(error)),
        };
        Settings {
            endpoint,
            configured,
            in_code,
            transport: self.transport.unwrap_or_else(http::shared),
            clock: self.clock.unwrap_or_else(clock::shared),
            executor: self.executor.unwrap_or_else(threads::shared),
            retry: self.retry.unwrap_or_default(),
            limits,
            exact: self.exact,
            #[cfg(feature = "tls")]
            environment: environment.clone(),
            #[cfg(feature = "tls")]
            workload: self.workload_dir.map(Workload::new).unwrap_or_default(),
            #[cfg(feature = "tls")]
            mutual_tls: Arc::new(MutualTls::new(mtls_mode, self.mtls_dir)),
            dmi_file: self
                .dmi_file
                .unwrap_or_else(firmware::dmi_product_name_file),
        }
    }
}

/// The endpoint, and whether somebody chose it.
fn endpoint(code: Option<&str>, environment: &Environment) -> (Result<Endpoint, Error>, bool) {
    if let Some(text) = code {
        return (Endpoint::parse(text), true);
    }
    for (name, value) in [
        ("GCE_METADATA_HOST", &environment.metadata_host),
        ("GCE_METADATA_ROOT", &environment.metadata_root),
    ] {
        if let Some(text) = value {
            let parsed = Endpoint::parse(text).map_err(|error| {
                error
                    .context(name)
                    .with_hint(format!("set {name} to host or host:port, or unset it"))
            });
            return (parsed, true);
        }
    }
    (Ok(Endpoint::well_known()), false)
}

/// The default limits, with the attempt's from `GCE_METADATA_TIMEOUT`.
fn timeout(environment: &Environment) -> Result<Limits, Error> {
    let mut limits = Limits::new();
    if let Some(text) = &environment.metadata_timeout {
        let seconds = positive(text).ok_or_else(|| {
            Error::new(
                ErrorKind::Config,
                format!("GCE_METADATA_TIMEOUT is {text:?}, which is no number of seconds"),
            )
            .with_hint("set GCE_METADATA_TIMEOUT to whole seconds, like 3, or unset it")
        })?;
        limits.attempt = Duration::from_secs(seconds.into());
        limits.first_byte = limits.attempt;
        limits.connect = limits.connect.min(limits.attempt);
    }
    Ok(limits)
}

/// A whole number above zero.
pub(crate) fn positive(text: &str) -> Option<u32> {
    text.trim().parse().ok().filter(|number| *number > 0)
}

#[cfg(all(test, not(gce_auth_loom)))]
mod tests {
    use super::*;

    fn environment(host: Option<&str>, root: Option<&str>) -> Environment {
        Environment {
            metadata_host: host.map(str::to_owned),
            metadata_root: root.map(str::to_owned),
            ..Environment::default()
        }
    }

    fn resolved(builder: MetadataClientBuilder, environment: &Environment) -> (String, bool) {
        let settings = builder.settle(environment);
        (
            settings.endpoint().unwrap().to_string(),
            settings.configured,
        )
    }

    #[test]
    fn code_beats_host_beats_root_beats_the_address() {
        let both = environment(Some("host:1"), Some("root:2"));
        let in_code = MetadataClient::builder().endpoint("[::1]:3");
        assert_eq!(resolved(in_code, &both), ("[::1]:3".into(), true));
        let builder = MetadataClient::builder;
        assert_eq!(resolved(builder(), &both), ("host:1".into(), true));
        let root = environment(None, Some("root:2"));
        assert_eq!(resolved(builder(), &root), ("root:2".into(), true));
        let nothing = Environment::default();
        assert_eq!(
            resolved(builder(), &nothing),
            ("169.254.169.254".into(), false)
        );
    }

    #[test]
    fn a_senseless_variable_is_named() {
        for (host, root, name) in [
            (Some(""), Some("root"), "GCE_METADATA_HOST"),
            (None, Some("a/b"), "GCE_METADATA_ROOT"),
        ] {
            let settings = MetadataClient::builder().settle(&environment(host, root));
            let error = settings.endpoint().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(error.to_string().starts_with(name), "{error}");
            assert!(error.hint().unwrap().contains(name));
            assert!(settings.reach().is_none());
        }
    }

    #[test]
    fn the_timeout_is_read_or_refused() {
        let with = |text: &str| {
            let mut environment = Environment::default();
            environment.metadata_timeout = Some(text.to_owned());
            MetadataClient::builder().settle(&environment)
        };
        assert_eq!(with("7").limits.attempt, Duration::from_secs(7));
        assert_eq!(with("1").limits.connect, Duration::from_secs(1));
        for text in ["", "0", "-3", "soon", "1.5"] {
            let error = with(text).endpoint().unwrap_err();
            assert!(error.to_string().contains("GCE_METADATA_TIMEOUT"), "{text}");
        }
    }

    #[test]
    fn the_same_reach_is_equal_and_another_transport_is_not() {
        let settle = |builder: MetadataClientBuilder| builder.settle(&Environment::default());
        let one = settle(MetadataClient::builder()).reach();
        assert!(one == settle(MetadataClient::builder()).reach() && one.is_some());
        let other = Arc::new(http::HttpTransport::default());
        assert!(one != settle(MetadataClient::builder().transport(other)).reach());
        assert!(one != settle(MetadataClient::builder().exact_freshness()).reach());
    }
}
