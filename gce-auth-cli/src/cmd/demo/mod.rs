//! `gce-auth demo`: everything that a program gets from a metadata server, once.

mod page;
mod proof;
mod steps;

use std::time::Duration;

use gce_auth::{Detection, MetadataClient};
use gce_auth_emulator::Emulator;

use crate::{
    cmd::demo::{page::Page, proof::Services},
    exit::{Exit, Failure},
    options::{ClientArgs, seconds, start_emulator},
    output::Output,
};

const EXAMPLES: &str = "\
Examples:
  gce-auth demo
  gce-auth demo --real                         with this machine's own metadata server
  gce-auth demo --real --endpoint 127.0.0.1:8080";

/// Shows, over real sockets, everything that a program gets from a metadata server.
///
/// Starts an emulator in the same process, unless --real is given. Shows only the first characters
/// of tokens.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Ask this machine's metadata server, and tell what is missing if there is none
    #[arg(long)]
    real: bool,
    /// The metadata server to ask, with --real
    #[arg(long, value_name = "HOST[:PORT]", requires = "real")]
    endpoint: Option<String>,
    /// Give up a step after this many seconds. Default: about 10
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    timeout: Option<Duration>,
}

impl Args {
    pub(crate) fn run(&self, out: &Output) -> Result<(), Failure> {
        if self.real {
            self.on_the_real_server(out)
        } else {
            self.on_an_emulator(out)
        }
    }

    fn on_an_emulator(&self, out: &Output) -> Result<(), Failure> {
        let emulator = start_emulator(Emulator::builder())?;
        let client = self.client(Some(emulator.addr().to_string()))?;
        let mut page = Page::new(out);
        page.title(&[
            &format!(
                "An emulator answers: a metadata server at {}, started in this process.",
                emulator.url()
            ),
            "Its project, account and keys are made up; sockets, requests and signatures are real.",
        ])?;
        let url = emulator.url();
        let services = Services {
            emulator: Some(&url),
        };
        steps::run(
            &mut page,
            &client,
            "it answers as only a metadata server does",
            &services,
        )?;
        page.end(&[
            (
                "gce-auth demo --real",
                "the same with this machine's own server",
            ),
            ("gce-auth emulate", "such a server for your tests"),
            ("gce-auth token", "an access token, for scripts"),
        ])
    }

    fn on_the_real_server(&self, out: &Output) -> Result<(), Failure> {
        let client = self.client(self.endpoint.clone())?;
        let found = client.blocking_on_gce(Detection::Fast)?;
        if !found.is_on_gce() {
            return Err(Failure::new(
                Exit::NoServer,
                format!(
                    "{found}; run this on Google Cloud, or name a metadata server with --endpoint \
                     or GCE_METADATA_HOST, or leave out --real to see an emulator"
                ),
            ));
        }
        let mut page = Page::new(out);
        page.title(&[&format!(
            "The metadata server of this machine answers, at {}.",
            client.endpoint()?
        )])?;
        steps::run(
            &mut page,
            &client,
            found.reason(),
            &Services { emulator: None },
        )?;
        page.end(&[])
    }

    fn client(&self, endpoint: Option<String>) -> Result<MetadataClient, Failure> {
        ClientArgs {
            endpoint,
            timeout: self.timeout,
        }
        .client_without_deadline()
    }
}
