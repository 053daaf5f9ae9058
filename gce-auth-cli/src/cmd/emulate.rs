//! `gce-auth emulate`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use gce_auth_server::Emulator;
use serde_json::{Map, Value, json};

use crate::{
    cmd::world::World,
    exit::{Exit, Failure},
    out::Out,
    signals, text,
};

const EXAMPLES: &str = "\
Examples:
  gce-auth emulate                             on a free port; prints the variables to set
  gce-auth emulate --port 8080 &
  eval \"$(gce-auth emulate --port 8080 --env)\" && gce-auth token
  gce-auth emulate --project my-project --set instance/attributes/env=dev
  gce-auth emulate --ready-json                one line of JSON once it listens, for test harnesses";

/// Runs a metadata server of its own, for tests and laptops, until Ctrl-C.
///
/// It needs no network, no credential and no privilege, and keeps nothing on disk. Its tokens are
/// good for nothing but its own APIs.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The port to listen on; 0 is any that is free
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    port: u16,
    /// The address to listen on, of this machine alone
    #[arg(long, value_name = "IP", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    address: IpAddr,
    /// Once it listens, print one line of JSON: address, url, pid, env
    #[arg(long)]
    ready_json: bool,
    /// Start nothing: print the variables that lead to one on --port, for eval
    #[arg(long, requires = "port", conflicts_with = "ready_json")]
    env: bool,
    #[command(flatten)]
    world: World,
}

impl Args {
    pub(crate) fn run(&self, out: &Out) -> Result<(), Failure> {
        let address = SocketAddr::from((self.address, self.port));
        if !self.address.is_loopback() {
            let why = format!(
                "the emulator hands out tokens to whoever asks, and {} can be reached from other \
                 machines; use 127.0.0.1 or ::1",
                self.address
            );
            return Err(Failure::new(Exit::Usage, why));
        }
        if self.env {
            return print_variables(address, out);
        }
        let mut ending = signals::Ending::new().map_err(|error| signals_failure(&error))?;
        let emulator = self.world.start(address)?;
        if self.ready_json {
            out.value(&ready(&emulator).to_string())?;
        } else {
            out.note(format_args!(
                "a metadata server for tests listens on {} until Ctrl-C; these lead programs to it:",
                emulator.url()
            ));
            out.value(&exports(&emulator.env()))?;
        }
        ending.wait();
        Ok(())
    }
}

/// The variables of an emulator that listens at `address`, without one there.
fn print_variables(address: SocketAddr, out: &Out) -> Result<(), Failure> {
    if address.port() == 0 {
        let why = "--env needs to know the port: name with --port the one that the emulator has";
        return Err(Failure::new(Exit::Usage, why));
    }
    let model = Emulator::builder()
        .start()
        .map_err(|error| super::world::start_failure(&error))?;
    let (from, to) = (model.addr().to_string(), address.to_string());
    let variables: Vec<_> = model
        .env()
        .into_iter()
        .map(|(name, value)| (name, value.replace(&from, &to)))
        .collect();
    out.value(&exports(&variables))
}

fn ready(emulator: &Emulator) -> Value {
    let variables: Map<_, _> = emulator
        .env()
        .into_iter()
        .map(|(name, value)| (name, value.into()))
        .collect();
    json!({
        "address": emulator.addr().to_string(),
        "url": emulator.url(),
        "pid": std::process::id(),
        "env": variables,
    })
}

/// Lines for `eval` in a shell.
fn exports(variables: &[(String, String)]) -> String {
    variables
        .iter()
        .map(|(name, value)| format!("export {name}={}\n", text::shell_word(value)))
        .collect()
}

/// Signals cannot be received.
pub(crate) fn signals_failure(error: &std::io::Error) -> Failure {
    Failure::new(Exit::Failed, format!("cannot wait for signals: {error}"))
}
