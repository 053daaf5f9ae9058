//! `gce-auth detect`.

use std::process::ExitCode;

use clap::ValueEnum;
use gce_auth::Detection;
use serde_json::json;

use crate::{
    config::{Reach, Shape},
    exit::{Exit, Failure},
    out::Out,
};

const EXAMPLES: &str = "\
Examples:
  gce-auth detect && echo 'on Google Cloud'
  gce-auth detect --like google-auth           what Python's library would find

In JSON: on_google_cloud, reason, firmware. The exit code is 0 on Google Cloud and 3 elsewhere.";

/// Says whether this is Google Cloud, and what tells so.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Which way to find out
    #[arg(long, value_enum, default_value_t)]
    like: Way,
    #[command(flatten)]
    shape: Shape,
    #[command(flatten)]
    reach: Reach,
}

/// The ways to find out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Way {
    /// Environment, firmware, then one request
    #[default]
    Fast,
    /// As Python's google-auth does: requests to GCE_METADATA_IP or 169.254.169.254, then the firmware
    GoogleAuth,
}

impl Args {
    pub(crate) fn run(&self, out: &Out) -> Result<ExitCode, Failure> {
        if self.like == Way::GoogleAuth && self.reach.endpoint.is_some() {
            let why = "google-auth does not detect at an endpoint; set GCE_METADATA_IP to it";
            return Err(Failure::new(Exit::Usage, why));
        }
        let client = self.reach.client(out)?;
        let found = client.blocking_on_gce(match self.like {
            Way::Fast => Detection::Fast,
            Way::GoogleAuth => Detection::GoogleAuth,
        })?;
        if self.shape.is_json() {
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
