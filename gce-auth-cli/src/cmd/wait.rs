//! `gce-auth wait`.

use std::time::Duration;

use gce_auth::{Credentials, Error};

use crate::{
    config::{self, Reach, WhichAccount},
    exit::Failure,
    out::Out,
    text,
    timer::Timer,
};

/// How long one operation of the library is tried.
const OPERATION: Duration = Duration::from_secs(10);

const EXAMPLES: &str = "\
Examples:
  gce-auth wait && exec ./server
  gce-auth wait --timeout 300

In an init container of a pod on GKE, whose metadata server may start later than the pod.";

/// Waits until the metadata server hands out a token; prints nothing.
///
/// It waits through everything that time may cure: no server yet, no service account yet, a binding
/// that is not effective yet. When time is up, the exit code tells what was missing last.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Give up after this many seconds
    #[arg(long, value_name = "SECONDS", value_parser = config::seconds, default_value = "60")]
    timeout: Duration,
    /// The metadata server to ask, instead of GCE_METADATA_HOST or 169.254.169.254
    #[arg(long, value_name = "HOST[:PORT]")]
    endpoint: Option<String>,
    #[command(flatten)]
    account: WhichAccount,
}

impl Args {
    pub(crate) fn run(&self, out: &Out) -> Result<(), Failure> {
        let reach = Reach {
            endpoint: self.endpoint.clone(),
            // Several operations, so that the last of them says what is missing.
            timeout: Some((self.timeout / 2).min(OPERATION)),
        };
        let client = reach.patient_client()?;
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
            .map_err(|error| telling(error, &credentials))?;
        out.detail(format_args!(
            "ready after {}",
            text::lasting(timer.elapsed())
        ));
        Ok(())
    }
}

/// An operation that the deadline cut short knows less than the one before.
fn telling(error: Error, credentials: &Credentials) -> Error {
    match credentials.status().last_error {
        Some((_, last)) if error.request().is_none() => last,
        _ => error,
    }
}
