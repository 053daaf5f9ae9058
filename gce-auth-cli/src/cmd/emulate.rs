//! `gce-auth emulate`.

use std::net::{Ipv4Addr, SocketAddr};

use gce_auth_server::{Emulator, StartError};

use crate::{
    exit::{Exit, Failure},
    out::Out,
    text,
};

const EXAMPLES: &str = "\
Examples:
  gce-auth emulate                             on a free port; prints the variables to set
  gce-auth emulate --port 8080 &
  GCE_METADATA_HOST=127.0.0.1:8080 gce-auth token";

/// Runs a metadata server of its own, for tests and laptops, until Ctrl-C.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The port to listen on; 0 is any that is free
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    port: u16,
}

impl Args {
    pub(crate) fn run(&self, out: &Out) -> Result<(), Failure> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
        let emulator = Emulator::builder()
            .address(address)
            .start()
            .map_err(|error| start_failure(&error))?;
        out.note(format_args!(
            "a metadata server for tests listens on {}, until Ctrl-C; lead programs to it with",
            emulator.url()
        ));
        out.value(&exports(&emulator.env()))?;
        loop {
            std::thread::park();
        }
    }
}

/// Lines for `eval` in a shell.
pub(crate) fn exports(variables: &[(String, String)]) -> String {
    variables
        .iter()
        .map(|(name, value)| format!("export {name}={}\n", text::shell_word(value)))
        .collect()
}

/// Why the emulator did not start, and what to do.
pub(crate) fn start_failure(error: &StartError) -> Failure {
    if error.is_address() {
        return Failure::new(
            Exit::Failed,
            format!("{error}; choose another with --port, or any free one with --port 0"),
        );
    }
    Failure::new(Exit::Usage, error.to_string())
}
