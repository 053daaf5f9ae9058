//! The address of the server, and how requests are sent: code, else environment, else default.

use std::{
    fmt,
    hash::{Hash, Hasher},
    path::PathBuf,
    sync::{Arc, atomic::AtomicBool},
};

use crate::{
    client::evidence::{self, Evidence},
    io::{
        clock::Clock,
        threads::{Executor, LaneKey},
        transport::{Limits, Transport},
    },
    task::under_way,
    values::{address::ByAddress, budget::Budget, endpoint::Endpoint, error::Error},
    wire::retry::RetryPolicy,
};
#[cfg(feature = "tls")]
use crate::{
    client::mutual_tls::MutualTls,
    io::{env::Environment, workload::Workload},
};

/// A client of the metadata server. Cheap to clone.
///
/// Building one reads the environment and does no I/O: no connection, no thread,
/// no runtime. Every method that does I/O has an async form and a `blocking_`
/// twin, and sends a request on each call; values are not kept.
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
pub struct MetadataClient(pub(crate) Arc<Config>);

/// Everything a call needs to know.
pub(crate) struct Config {
    pub(super) endpoint: Result<Endpoint, Error>,
    /// Whether code or environment said where the server is.
    pub(crate) configured: bool,
    /// Whether it was code that said so.
    pub(crate) in_code: bool,
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) executor: Arc<dyn Executor>,
    /// Whose lane work for the metadata server is done in.
    pub(crate) lane: LaneKey,
    pub(crate) retry: RetryPolicy,
    /// The budget of the operation that these settings were copied for.
    pub(crate) under_way: Option<Budget>,
    pub(crate) limits: Limits,
    /// The limits of servers other than the metadata server.
    #[cfg(feature = "iam")]
    pub(crate) api_limits: Limits,
    /// Whether the server has proven to be a metadata server, which its refusals
    /// need not do.
    pub(crate) proven: Arc<AtomicBool>,
    /// Whether freshness is google-auth's, to the second.
    pub(crate) exact: bool,
    /// What the environment said of where this is, if anything.
    pub(crate) said: Option<Evidence>,
    pub(crate) dmi_file: PathBuf,
    /// What the environment said when the client was made.
    #[cfg(feature = "tls")]
    pub(crate) environment: Environment,
    #[cfg(feature = "tls")]
    pub(crate) workload: Workload,
    #[cfg(feature = "tls")]
    pub(crate) mutual_tls: Arc<MutualTls>,
}

impl Config {
    /// A copy, for a request that changes some of them.
    pub(crate) fn for_one_request(&self) -> Self {
        Self {
            endpoint: self.endpoint.clone(),
            configured: self.configured,
            in_code: self.in_code,
            transport: Arc::clone(&self.transport),
            clock: Arc::clone(&self.clock),
            executor: Arc::clone(&self.executor),
            lane: self.lane.clone(),
            retry: self.retry.clone(),
            under_way: self.under_way.clone(),
            limits: self.limits.clone(),
            #[cfg(feature = "iam")]
            api_limits: self.api_limits.clone(),
            proven: Arc::clone(&self.proven),
            exact: self.exact,
            said: self.said.clone(),
            dmi_file: self.dmi_file.clone(),
            #[cfg(feature = "tls")]
            environment: self.environment.clone(),
            #[cfg(feature = "tls")]
            workload: self.workload.clone(),
            #[cfg(feature = "tls")]
            mutual_tls: Arc::clone(&self.mutual_tls),
        }
    }

    /// Returns the budget of the operation that asks: of the one that is under
    /// way, or of one that starts now, which may be a part of another.
    pub(crate) fn budget(&self) -> Budget {
        let new = || {
            let now = self.clock.now();
            Budget::new(now, under_way::left(self.retry.total(), now))
        };
        self.under_way.clone().unwrap_or_else(new)
    }

    pub(crate) fn endpoint(&self) -> Result<&Endpoint, Error> {
        self.endpoint.as_ref().map_err(Clone::clone)
    }

    /// What the environment said when the client was made, else the firmware,
    /// now; costs one small file.
    pub(crate) fn evidence(&self) -> Evidence {
        let said = self.said.clone();
        said.unwrap_or_else(|| evidence::machine(&self.dmi_file))
    }

    /// What two clients have in common that may wait for each other's requests.
    pub(crate) fn settings(&self) -> Settings {
        Settings {
            executor: ByAddress::of(&self.executor),
            retry: self.retry.clone(),
            limits: self.limits.clone(),
            #[cfg(feature = "iam")]
            api_limits: self.api_limits.clone(),
        }
    }

    /// What makes two clients reach the same server in the same way; `None`
    /// where the endpoint makes no sense.
    pub(crate) fn key(&self) -> Option<ClientKey> {
        Some(ClientKey {
            endpoint: self.endpoint.as_ref().ok()?.clone(),
            transport: ByAddress::of(&self.transport),
            clock: ByAddress::of(&self.clock),
            exact: self.exact,
            #[cfg(feature = "tls")]
            files: (
                self.workload.clone(),
                self.mutual_tls.directories().to_vec(),
            ),
            #[cfg(feature = "tls")]
            environment: self.environment.clone(),
        })
    }
}

/// The part of a registry key that says which server is asked, and how.
#[derive(PartialEq, Eq)]
pub(crate) struct ClientKey {
    endpoint: Endpoint,
    transport: ByAddress<dyn Transport>,
    clock: ByAddress<dyn Clock>,
    exact: bool,
    /// Where certificates are, and whether they are to be used.
    #[cfg(feature = "tls")]
    files: (Workload, Vec<PathBuf>),
    #[cfg(feature = "tls")]
    environment: Environment,
}

/// The part of a registry key that says who does a request, how often, and within which limits.
#[derive(PartialEq)]
pub(crate) struct Settings {
    executor: ByAddress<dyn Executor>,
    retry: RetryPolicy,
    limits: Limits,
    #[cfg(feature = "iam")]
    api_limits: Limits,
}

// No number of a retry policy is NaN.
impl Eq for Settings {}

impl Hash for Settings {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.executor.hash(state);
        self.limits.attempt.hash(state);
    }
}

impl Hash for ClientKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.endpoint.hash(state);
        self.transport.hash(state);
        self.clock.hash(state);
    }
}

impl MetadataClient {
    /// Returns the address of the metadata server, as `host` or `host:port`.
    ///
    /// # Errors
    /// [`Config`](crate::ErrorKind::Config) if the environment holds an address
    /// that makes no sense.
    pub fn endpoint(&self) -> Result<String, Error> {
        self.0.endpoint().map(ToString::to_string)
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
