//! `gce-auth detect`.

use std::process::ExitCode;

use clap::ValueEnum;
use gce_auth::Detection;
use serde_json::json;

use crate::{
    exit::{Exit, Failure},
    options::{ClientArgs, OutputArgs},
    output::Output,
};

const EXAMPLES: &str = "\
Examples:
  gce-auth detect && echo 'on Google Cloud'
  gce-auth detect --like google-auth           what google-auth for Python would find

In JSON: on_google_cloud, reason, firmware. The exit code is 0 on Google Cloud and 3 elsewhere.";

/// Detects whether this machine is on Google Cloud, and prints the reason.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The method of detection
    #[arg(long, value_enum, default_value_t)]
    like: Method,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    client: ClientArgs,
}

/// The method of detection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Method {
    /// Read the environment and the firmware, then send one request
    #[default]
    Fast,
    /// Send requests to GCE_METADATA_IP or 169.254.169.254, then read the firmware, as Python's
    /// google-auth does
    GoogleAuth,
}

impl Args {
    pub(crate) fn run(&self, out: &Output) -> Result<ExitCode, Failure> {
        if self.like == Method::GoogleAuth && self.client.endpoint.is_some() {
            let why = "google-auth ignores --endpoint; set GCE_METADATA_IP to the address";
            return Err(Failure::new(Exit::Usage, why));
        }
        let client = self.client.client(out)?;
        let found = client.blocking_on_gce(match self.like {
            Method::Fast => Detection::Fast,
            Method::GoogleAuth => Detection::GoogleAuth,
        })?;
        if self.output.is_json() {
            out.json(&json!({
                "on_google_cloud": found.is_on_gce(),
                "reason": found.reason(),
                "firmware": client.detect_dmi(),
            }))?;
        } else {
            out.value(&found.to_string())?;
        }
        Ok(if found.is_on_gce() {
            ExitCode::SUCCESS
        } else {
            Exit::NoServer.into()
        })
    }
}
