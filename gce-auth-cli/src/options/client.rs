//! Which metadata server a command asks, and for which account.

use std::time::Duration;

use gce_auth::{MetadataClient, RetryPolicy, transport::Limits};

use crate::{deadline, exit::Failure, options::seconds::seconds, output::Output};

/// How the metadata server is reached.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct ClientArgs {
    /// The metadata server to ask, instead of GCE_METADATA_HOST or 169.254.169.254
    #[arg(long, value_name = "HOST[:PORT]")]
    pub(crate) endpoint: Option<String>,
    /// Give up after this many seconds. Default: about 10
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) timeout: Option<Duration>,
}

impl ClientArgs {
    /// Returns a client of that server; ends the whole command at its `--timeout`.
    pub(crate) fn client(&self, out: &Output) -> Result<MetadataClient, Failure> {
        if let Some(timeout) = self.timeout {
            deadline::set(timeout, *out);
        }
        self.client_without_deadline()
    }

    /// Returns a client of that server. `--timeout` is the budget of each of its operations.
    pub(crate) fn client_without_deadline(&self) -> Result<MetadataClient, Failure> {
        let mut builder = MetadataClient::builder();
        if let Some(endpoint) = &self.endpoint {
            builder = builder.endpoint(endpoint);
        }
        if let Some(timeout) = self.timeout {
            builder = builder.retry(RetryPolicy::new().budget(timeout));
            let limits = Limits::new();
            if timeout < limits.attempt {
                builder = builder.limits(within(limits, timeout));
            }
        }
        Ok(builder.build()?)
    }
}

/// The account that the metadata server takes for the machine's own.
pub(crate) const DEFAULT_ACCOUNT: &str = "default";

/// Which service account of the machine is meant.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct AccountArgs {
    /// The service account attached to this machine, by its email address or an alias
    #[arg(long, value_name = "ACCOUNT", default_value = DEFAULT_ACCOUNT)]
    pub(crate) account: String,
}

/// Detection makes a single attempt, which no budget bounds.
fn within(mut limits: Limits, longest: Duration) -> Limits {
    limits.attempt = longest;
    limits.first_byte = longest;
    limits.connect = limits.connect.min(longest);
    limits
}
