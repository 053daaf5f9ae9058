//! Configures a client: code, else environment, else default.

use std::{path::PathBuf, sync::Arc, time::Duration};

#[cfg(feature = "tls")]
use crate::{
    client::mutual_tls::{Mode, MutualTls},
    io::workload::Workload,
};
use crate::{
    client::{
        config::{Config, MetadataClient},
        evidence,
    },
    io::{
        clock::{self, Clock},
        env::Environment,
        firmware, http,
        threads::{Executor, LaneKey},
        transport::{Limits, Transport},
    },
    task::lanes,
    values::{
        endpoint::Endpoint,
        error::{Error, ErrorKind},
    },
    wire::retry::RetryPolicy,
};

impl MetadataClient {
    /// Returns a client with the settings of the environment:
    /// `GCE_METADATA_HOST`, else `GCE_METADATA_ROOT`, else 169.254.169.254.
    ///
    /// Never fails: the first call returns the error of a variable that makes no
    /// sense.
    #[must_use]
    pub fn new() -> Self {
        let environment = Environment::read();
        Self(Arc::new(Self::builder().settle(&environment)))
    }

    /// Returns a builder.
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
}

impl Default for MetadataClient {
    fn default() -> Self {
        Self::new()
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
    /// Sets the address of the metadata server: `host`, `host:port` or
    /// `[v6-address]:port`. Has priority over every environment variable.
    pub fn endpoint(mut self, endpoint: impl Into<String>) -> Self {
        self.endpoint = Some(endpoint.into());
        self
    }

    /// Sets the transport of requests. Default: the library's own HTTP.
    pub fn transport(mut self, transport: Arc<dyn Transport>) -> Self {
        self.transport = Some(transport);
        self
    }

    /// Sets the clock. Default: the system's.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Sets the executor of blocking work. Default: the library's own threads.
    pub fn executor(mut self, executor: Arc<dyn Executor>) -> Self {
        self.executor = Some(executor);
        self
    }

    /// Sets the retry policy of an operation. Default: a budget of 10 s, or of
    /// [one attempt](Limits::attempt) if that may take longer.
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.retry = Some(policy);
        self
    }

    /// Sets the limits of one attempt: time, and size of the answer.
    ///
    /// They hold for every server. A time that is left at its default is longer
    /// for servers other than the metadata server and those of keys: 5 s to
    /// connect, 15 s for the answer.
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

    /// Sets whether freshness is to the second, as google-auth has it: no jitter, no skew, no
    /// gentle polling, no quiet time after a failure. An executable gets what google-auth
    /// gives it, and its standard error is read with what it prints. Default: false.
    #[cfg(any(test, feature = "test-util"))]
    pub fn exact_freshness(mut self, exact: bool) -> Self {
        self.exact = exact;
        self
    }

    /// Builds the client; reads the environment, and does nothing else.
    ///
    /// # Errors
    /// [`Config`](ErrorKind::Config) where the endpoint, or the variable it
    /// comes from, makes no sense.
    pub fn build(self) -> Result<MetadataClient, Error> {
        let config = self.settle(&Environment::read());
        config.endpoint()?;
        Ok(MetadataClient(Arc::new(config)))
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

    pub(super) fn settle(self, environment: &Environment) -> Config {
        let in_code = self.endpoint.is_some();
        let (endpoint, configured) = endpoint(self.endpoint.as_deref(), environment);
        // The variable is the metadata server's alone.
        #[cfg(feature = "iam")]
        let api_limits = self.limits.clone().unwrap_or_default().of_apis();
        let (limits, endpoint) = match (self.limits, timeout(environment)) {
            (Some(limits), _) | (None, Ok(limits)) => (limits, endpoint),
            (None, Err(error)) => (Limits::new(), Err(error)),
        };
        #[cfg(feature = "tls")]
        let (mtls_mode, endpoint) = match Mode::parse(environment.mtls_mode.as_deref()) {
            Ok(mode) => (mode, endpoint),
            Err(error) => (Mode::None, Err(error)),
        };
        let transport = self.transport.unwrap_or_else(http::shared);
        let server = endpoint.as_ref().map(|it| format!("http://{it}"));
        Config {
            lane: LaneKey::new(server.unwrap_or_default(), &transport),
            endpoint,
            configured,
            in_code,
            transport,
            clock: self.clock.unwrap_or_else(clock::shared),
            executor: self.executor.unwrap_or_else(lanes::shared),
            retry: self
                .retry
                .unwrap_or_else(|| RetryPolicy::new().with_room_for(limits.attempt)),
            under_way: None,
            limits,
            #[cfg(feature = "iam")]
            api_limits,
            proven: Arc::default(),
            exact: self.exact,
            said: evidence::said(environment),
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

/// The endpoint, and whether code or environment chose it.
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
        limits.attempt = seconds(text).ok_or_else(|| {
            Error::new(
                ErrorKind::Config,
                format!("GCE_METADATA_TIMEOUT is {text:?}, which is no number of seconds"),
            )
            .with_hint("set GCE_METADATA_TIMEOUT to seconds, like 3 or 1.5, or unset it")
        })?;
        limits.first_byte = limits.attempt;
        limits.connect = limits.connect.min(limits.attempt);
    }
    Ok(limits)
}

/// A time in seconds, whole or with a fraction, above zero; what is smaller than a nanosecond is
/// dropped. Read without floating point, which is 15 KB of a program that needs none otherwise.
fn seconds(text: &str) -> Option<Duration> {
    let text = text.trim();
    let text = text.strip_prefix('+').unwrap_or(text);
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let mut digits = whole.bytes().chain(fraction.bytes()).peekable();
    if digits.peek().is_none() || !digits.all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let seconds = format!("0{whole}").parse().ok()?;
    let nanos = format!("{fraction:0<9}")[..9].parse().ok()?;
    let time = Duration::new(seconds, nanos);
    (!time.is_zero()).then_some(time)
}

#[cfg(all(test, not(gce_auth_loom)))]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::io::fake::HandQueue;

    proptest! {
        #[test]
        fn seconds_are_what_a_float_reads(text in r"\+?[0-9]{0,7}(\.[0-9]{0,12})?") {
            let float = text.parse().ok().map(Duration::from_secs_f64);
            // Read to the next nanosecond, not to the one before.
            let float = float.filter(|it| !it.is_zero());
            let read = seconds(&text).unwrap_or_default();
            let between = float.unwrap_or_default().abs_diff(read);
            prop_assert!(between <= Duration::from_nanos(2), "{text}: {read:?}, {float:?}");
        }

        #[test]
        fn seconds_are_exact(time in any::<Duration>()) {
            let text = format!("{}.{:09}", time.as_secs(), time.subsec_nanos());
            prop_assert_eq!(seconds(&text), Some(time).filter(|time| !time.is_zero()));
        }
    }

    fn environment(host: Option<&str>, root: Option<&str>) -> Environment {
        Environment {
            metadata_host: host.map(str::to_owned),
            metadata_root: root.map(str::to_owned),
            ..Environment::default()
        }
    }

    fn resolved(builder: MetadataClientBuilder, environment: &Environment) -> (String, bool) {
        let config = builder.settle(environment);
        (config.endpoint().unwrap().to_string(), config.configured)
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
            let config = MetadataClient::builder().settle(&environment(host, root));
            let error = config.endpoint().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(error.to_string().starts_with(name), "{error}");
            assert!(error.hint().unwrap().contains(name));
            assert!(config.key().is_none());
        }
    }

    #[test]
    fn the_timeout_is_read_or_refused() {
        let with = |text: &str| {
            let environment = Environment {
                metadata_timeout: Some(text.to_owned()),
                ..Environment::default()
            };
            MetadataClient::builder().settle(&environment)
        };
        assert_eq!(with("7").limits.attempt, Duration::from_secs(7));
        assert_eq!(with("1").limits.connect, Duration::from_secs(1));
        assert_eq!(with("7").retry.total(), Duration::from_secs(10));
        assert_eq!(with("30").retry.total(), Duration::from_secs(30));
        assert_eq!(with(" 1.5 ").limits.attempt, Duration::from_millis(1500));
        for text in [
            "",
            "0",
            "-3",
            "soon",
            "inf",
            "NaN",
            "1e400",
            "1,5",
            ".",
            "0.0",
            "1.+5",
            "++1",
            "1.2.3",
            "18446744073709551616",
        ] {
            let error = with(text).endpoint().unwrap_err();
            assert!(error.to_string().contains("GCE_METADATA_TIMEOUT"), "{text}");
        }
    }

    #[test]
    fn the_same_reach_is_equal_and_another_transport_is_not() {
        let settle = |builder: MetadataClientBuilder| builder.settle(&Environment::default());
        let one = settle(MetadataClient::builder()).key();
        assert!(one == settle(MetadataClient::builder()).key() && one.is_some());
        let other = Arc::new(http::HttpTransport::default());
        assert!(one != settle(MetadataClient::builder().transport(other)).key());
        assert!(one != settle(MetadataClient::builder().exact_freshness(true)).key());
    }

    #[test]
    fn each_setting_tells_apart_who_waits_for_whose_requests() {
        let builder = MetadataClient::builder;
        let of =
            |builder: MetadataClientBuilder| builder.settle(&Environment::default()).settings();
        assert!(of(builder()) == of(builder().exact_freshness(true)));
        let mut limits = Limits::new();
        limits.body_bytes -= 1;
        for other in [
            builder().retry(RetryPolicy::new().jitter(0.3)),
            builder().limits(limits),
            builder().executor(Arc::new(HandQueue::default())),
        ] {
            assert!(of(builder()) != of(other));
        }
    }
}
