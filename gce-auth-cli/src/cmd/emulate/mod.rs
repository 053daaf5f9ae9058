//! `gce-auth emulate`.

mod control_request;
mod event;
#[cfg(test)]
mod settings_tests;

use std::{
    ffi::OsString,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
};

use clap::{ArgMatches, FromArgMatches};
use gce_auth_emulator::{AdcKind, Emulator};
use serde_json::{Map, Value, json};

use crate::{
    env,
    exit::{Exit, Failure},
    options::{
        EmulatorArgs, adc_kind,
        settings::{self, Runs},
        start_emulator,
    },
    output::Output,
    real_tokens::{Commands, RealTokenArgs},
    signals, text,
};

/// The address of metadata servers.
const LINK_LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254));

const EXAMPLES: &str = "\
Examples:
  gce-auth emulate                             on a free port; prints the variables to set
  gce-auth emulate --port 8080 &
  eval \"$(gce-auth emulate --port 8080 --env)\" && gce-auth token
  gce-auth emulate --project my-project --set instance/attributes/env=dev
  gce-auth emulate --fault 'path = \"instance/\", times = 2, fault = { kind = \"hang\" }'
  gce-auth emulate --address 0.0.0.0 --allow-from 172.17.0.0/16    for this machine's containers
  gce-auth emulate --token-command 'gcloud auth print-access-token'
  gce-auth emulate --write-adc . --adc-kind external_account    a credentials file for its clients
  gce-auth emulate --event 'event = { kind = \"preempt\" }, in-seconds = 60'
  gce-auth emulate event preempt --in 30s      to the emulator that GCE_METADATA_HOST names
  gce-auth emulate --ready-json                one line of JSON once it listens, for test harnesses
  gce-auth emulate --print-config >emulator.toml && gce-auth emulate --config emulator.toml

Settings come from the command line, else from variables, else from the file of --config, which has
the options' names as keys: port = 8080, allow-from = [\"172.17.0.0/16\"], strict = true. A variable
holds one value of an option that may be repeated.";

/// The arguments, of which each setting has a variable.
#[derive(Debug)]
pub(crate) struct Args(Settings);

impl clap::Args for Args {
    fn augment_args(command: clap::Command) -> clap::Command {
        settings::with_variables(Settings::augment_args(command))
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        settings::with_variables(Settings::augment_args_for_update(command))
    }
}

impl FromArgMatches for Args {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        Settings::from_arg_matches(matches).map(Self)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        self.0.update_from_arg_matches(matches)
    }
}

impl Args {
    pub(crate) fn run(&self, out: &Output) -> Result<(), Failure> {
        if self.0.print_config {
            let arguments = with_config(env::arguments())?;
            return out.value(&settings::effective(&command(), &arguments)?);
        }
        self.0.run(out)
    }
}

/// Describes the command.
pub(crate) fn command() -> clap::Command {
    <Args as clap::Args>::augment_args(clap::Command::new("emulate"))
}

/// Returns arguments with the settings of the file that they or a variable name, if they are of
/// `emulate`.
pub(crate) fn with_config(arguments: Vec<OsString>) -> Result<Vec<OsString>, Failure> {
    if settings::own("emulate", &arguments).is_none() {
        return Ok(arguments);
    }
    let runs = Runs {
        name: "emulate",
        command: &command(),
        file: None,
    };
    runs.expand(arguments, env::var)
}

/// Runs an emulator of the metadata server, for tests and laptops, until Ctrl-C.
///
/// Needs no network, credentials or privileges, and writes nothing to disk by default. Only its own
/// APIs accept its tokens, unless an option names a source of real tokens.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
struct Settings {
    #[command(subcommand)]
    command: Option<Command>,
    /// The port to listen on; 0 is any free port. Default: 0; with --address link-local 80
    #[arg(long, value_name = "PORT")]
    port: Option<u16>,
    /// The address to listen on; an address that other machines can reach needs --allow-from
    ///
    /// `link-local` is 169.254.169.254, the metadata server's own, for network namespaces and
    /// containers whose loopback interface has it (`ip address add 169.254.169.254/32 dev lo`).
    /// Only this machine may connect then, for control requests, too.
    #[arg(long, value_name = "IP|link-local", value_parser = address,
          default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    address: IpAddr,
    /// The networks that may connect besides this machine, separated by commas; control requests
    /// are for this machine only, without --control-from
    #[arg(long, value_name = "CIDR", value_delimiter = ',')]
    allow_from: Vec<String>,
    /// The networks that may use control requests and the page, with the bearer token that is
    /// printed at the start, separated by commas
    #[arg(
        long,
        value_name = "CIDR",
        value_delimiter = ',',
        requires = "allow_from"
    )]
    control_from: Vec<String>,
    /// The host names to answer to besides those of the metadata server, separated by commas;
    /// *.example.com allows all names below example.com
    #[arg(long, value_name = "HOST", value_delimiter = ',')]
    allow_host: Vec<String>,
    /// With real tokens, the users of this machine to serve besides root and the own one, by their
    /// numbers, separated by commas
    #[arg(long, value_name = "UID", value_delimiter = ',')]
    allow_uid: Vec<u32>,
    /// Print one line of JSON once it listens: address, url, https_address, pid, env,
    /// credentials_file, control_token
    #[arg(long)]
    ready_json: bool,
    /// Print the variables that lead clients to an emulator on --port, for eval; start nothing
    #[arg(long, conflicts_with = "ready_json")]
    env: bool,
    /// Also listen for HTTPS with client certificates on this port; 0 is any free port
    #[arg(long, value_name = "PORT")]
    https_port: Option<u16>,
    /// Write root.crt and client.key, which clients need for HTTPS, to this directory
    #[arg(long, value_name = "DIR", requires = "https_port")]
    certificates: Option<PathBuf>,
    /// Write application_default_credentials.json, which leads clients to the emulator, to this
    /// directory, readable by its owner only
    #[arg(long, value_name = "DIR")]
    write_adc: Option<PathBuf>,
    /// The kind of credentials in the file of --write-adc
    #[arg(long, value_name = "KIND", requires = "write_adc", default_value = "service_account",
          value_parser = adc_kind())]
    adc_kind: AdcKind,
    /// Also listen on this Unix socket; the file is removed at the end
    #[cfg(unix)]
    #[arg(long, value_name = "FILE")]
    unix_socket: Option<PathBuf>,
    /// A TOML file with settings, which --print-config prints
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print the settings as a file for --config; start nothing
    #[arg(long, conflicts_with_all = ["ready_json", "env"])]
    print_config: bool,
    #[command(flatten)]
    emulator: EmulatorArgs,
    #[command(flatten)]
    tokens: RealTokenArgs,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Event(event::Args),
}

impl Settings {
    fn run(&self, out: &Output) -> Result<(), Failure> {
        if let Some(Command::Event(event)) = &self.command {
            return event.run(out);
        }
        let own_port = if self.address == LINK_LOCAL { 80 } else { 0 };
        let address = SocketAddr::from((self.address, self.port.unwrap_or(own_port)));
        let is_bare = self.address != LINK_LOCAL && self.allow_from.is_empty();
        if !self.address.is_loopback() && is_bare {
            let why = format!(
                "other machines can reach {}, and the emulator gives tokens to every client; name the \
                 networks of its clients with --allow-from, like 172.17.0.0/16, or use 127.0.0.1 or \
                 ::1",
                self.address
            );
            return Err(Failure::new(Exit::Usage, why));
        }
        if self.env {
            return print_variables(address, out);
        }
        let mut ending = signals::Ending::new().map_err(|error| signals_failure(&error))?;
        let commands = Commands::default();
        let emulator = self.start(address, &commands, out)?;
        let credentials_file = self.credentials_file(&emulator)?;
        if self.ready_json {
            out.value(&ready(&emulator, credentials_file.as_deref()).to_string())?;
        } else {
            out.note(format_args!(
                "a metadata server for tests listens on {} until Ctrl-C; set these variables for its clients:",
                emulator.url()
            ));
            out.note(format_args!(
                "its requests are shown at {}/emulator/",
                emulator.url()
            ));
            if let Some(address) = emulator.https_addr() {
                out.note(format_args!("HTTPS with client certificates: {address}"));
            }
            if let Some(token) = emulator.control_token() {
                out.note(format_args!(
                    "control requests from --control-from need authorization: Bearer {token}"
                ));
            }
            if let Some(file) = &credentials_file {
                out.note(format_args!(
                    "GOOGLE_APPLICATION_CREDENTIALS={} leads clients to it by credentials",
                    text::shell_word(&file.to_string_lossy())
                ));
            }
            out.value(&exports(&emulator.env()))?;
        }
        ending.wait();
        Ok(())
    }

    fn credentials_file(&self, emulator: &Emulator) -> Result<Option<PathBuf>, Failure> {
        let Some(directory) = &self.write_adc else {
            return Ok(None);
        };
        let written = emulator.write_adc(directory, self.adc_kind);
        written.map(Some).map_err(|error| {
            let directory = directory.display();
            let why = format!("cannot write credentials to {directory}: {error}");
            Failure::new(Exit::Failed, why)
        })
    }

    fn start(
        &self,
        address: SocketAddr,
        commands: &Commands,
        out: &Output,
    ) -> Result<Emulator, Failure> {
        let builder = self.emulator.builder(&self.tokens, commands, out)?;
        let mut builder = builder.address(address);
        if self.address == LINK_LOCAL {
            // Connections of this machine come from it, and none of others can.
            builder = builder.allow_from(LINK_LOCAL.to_string());
        }
        for network in &self.allow_from {
            builder = builder.allow_from(network);
        }
        for network in &self.control_from {
            builder = builder.control_from(network);
        }
        for host in &self.allow_host {
            builder = builder.allow_host(host);
        }
        for uid in &self.allow_uid {
            builder = builder.allow_uid(*uid);
        }
        if let Some(port) = self.https_port {
            builder = builder.https(SocketAddr::from((self.address, port)));
        }
        #[cfg(unix)]
        if let Some(file) = &self.unix_socket {
            builder = builder.unix_socket(file);
        }
        let emulator = start_emulator(builder)?;
        if let Some(directory) = &self.certificates {
            emulator.write_certificates(directory).map_err(|error| {
                let why = format!(
                    "cannot write the certificates to {}: {error}",
                    directory.display()
                );
                Failure::new(Exit::Failed, why)
            })?;
        }
        Ok(emulator)
    }
}

/// Reads an address, or `link-local`.
fn address(text: &str) -> Result<IpAddr, String> {
    match text {
        "link-local" => Ok(LINK_LOCAL),
        text => text
            .parse()
            .map_err(|_| "give an IP address, or link-local".to_owned()),
    }
}

/// Prints the variables of an emulator at `address`, without starting it.
fn print_variables(address: SocketAddr, out: &Output) -> Result<(), Failure> {
    if address.port() == 0 {
        let why = "--env needs the port of the emulator; name it with --port";
        return Err(Failure::new(Exit::Usage, why));
    }
    out.value(&exports(&Emulator::env_of(address)))
}

fn ready(emulator: &Emulator, credentials_file: Option<&Path>) -> Value {
    let variables: Map<_, _> = emulator
        .env()
        .into_iter()
        .map(|(name, value)| (name, value.into()))
        .collect();
    json!({
        "address": emulator.addr().to_string(),
        "url": emulator.url(),
        "https_address": emulator.https_addr().map(|address| address.to_string()),
        "pid": std::process::id(),
        "credentials_file": credentials_file.map(|file| file.to_string_lossy()),
        "control_token": emulator.control_token(),
        "env": variables,
    })
}

/// Returns lines for `eval` in a shell.
fn exports(variables: &[(String, String)]) -> String {
    variables
        .iter()
        .map(|(name, value)| format!("export {name}={}\n", text::shell_word(value)))
        .collect()
}

fn signals_failure(error: &std::io::Error) -> Failure {
    Failure::new(Exit::Failed, format!("cannot receive signals: {error}"))
}
