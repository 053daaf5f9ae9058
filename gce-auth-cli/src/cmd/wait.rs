//! `gce-auth wait`.

use std::time::Duration;

use gce_auth::{Credentials, Error};

use crate::{
    clock::Timer,
    exit::Failure,
    options::{AccountArgs, ClientArgs, seconds},
    output::Output,
    text,
};

/// The budget of one operation of the library.
const OPERATION: Duration = Duration::from_secs(10);

const EXAMPLES: &str = "\
Examples:
  gce-auth wait && exec ./server
  gce-auth wait --timeout 300

Use it in an init container on GKE, where the metadata server may start later than the pod.";

/// Waits until the metadata server returns a token; prints nothing.
///
/// Waits through everything that time may cure: no server yet, no service account yet, an IAM
/// binding that is not effective yet. At the timeout, the exit code tells what was missing last.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Give up after this many seconds
    #[arg(long, value_name = "SECONDS", value_parser = seconds, default_value = "60")]
    timeout: Duration,
    /// The metadata server to ask, instead of GCE_METADATA_HOST or 169.254.169.254
    #[arg(long, value_name = "HOST[:PORT]")]
    endpoint: Option<String>,
    #[command(flatten)]
    account: AccountArgs,
}

impl Args {
    pub(crate) fn run(&self, out: &Output) -> Result<(), Failure> {
        let client = ClientArgs {
            endpoint: self.endpoint.clone(),
            // Short enough for several operations, so that the last one tells what is missing.
            timeout: Some((self.timeout / 2).min(OPERATION)),
        };
        let client = client.client_without_deadline()?;
        out.detail(format_args!(
            "waiting for a token of {} from {}, for at most {}",
            self.account.account,
            client.endpoint()?,
            text::lasting(self.timeout)
        ));
        let timer = Timer::start();
        let credentials = Credentials::builder()
            .client(client)
            .service_account(&self.account.account)
            .build()?;
        credentials
            .blocking_wait_ready(self.timeout)
            .map_err(|error| last_cause(error, &credentials))?;
        out.detail(format_args!(
            "ready after {}",
            text::lasting(timer.elapsed())
        ));
        Ok(())
    }
}

/// Returns the error of the operation before, if the deadline cut this one short.
fn last_cause(error: Error, credentials: &Credentials) -> Error {
    match credentials.status().last_error {
        Some((_, last)) if error.request().is_none() => last,
        _ => error,
    }
}
