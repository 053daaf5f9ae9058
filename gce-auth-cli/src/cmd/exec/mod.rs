//! `gce-auth exec`.

mod agent;
mod as_proxy;
#[cfg(target_os = "linux")]
mod isolated;
#[cfg(target_os = "linux")]
mod java;
mod journal;
mod machine_end;
mod program;
mod relay;
mod trust;
mod variables;

use std::{
    ffi::OsString,
    io,
    process::{Command, ExitCode, ExitStatus},
    time::Duration,
};

use clap::{ArgMatches, FromArgMatches};
use gce_auth::{DefaultSource, Detection};
use gce_auth_emulator::{AdcKind, Emulator};

use self::journal::Led;
pub(crate) use self::variables::without_emulator;
use crate::{
    env,
    exit::{Exit, Failure},
    options::{ClientArgs, EmulatorArgs, adc_kind, seconds, start_emulator},
    output::Output,
    real_tokens::{Commands, RealTokenArgs},
    sdk_environment::{CREDENTIALS, host},
    signals::{self, Program},
    temporary::TemporaryDirectory,
};

const EXAMPLES: &str = "\
Examples:
  gce-auth exec -- python3 my_program.py
  gce-auth exec --journal -- go test ./...
  gce-auth exec --profile cloud-run --project my-project -- ./server
  gce-auth exec --adc external_account -- python3 my_program.py
  gce-auth exec --real -- sh -c 'echo $GCE_METADATA_HOST'
  gce-auth exec --agent --source adc --scopes devstorage.read_only -- ./untrusted
  gce-auth exec --isolated --cloud --network host-loopback=5432 -- ruby my_program.rb
  gce-auth exec --as-proxy --cloud -- ruby my_program.rb

The exit code is the program's: 128 plus the number of the signal that ended it, 127 if there is no
such program, 126 if it cannot be run. When an event ends the machine, the program gets SIGTERM,
and SIGKILL at the deadline. The exit code is then its own if it ended in time, 143 if SIGTERM ended
it, and 137 if it was killed: at the deadline, or by a host error, which comes without SIGTERM.

Settings of the emulator come from the command line, else from variables, else from the file that
GCE_AUTH_EMULATOR_CONFIG names, as of `gce-auth emulate --print-config`. Its settings of listening
are left out. Without an emulator, with --real or --agent, neither is read.";

/// What has no meaning with --agent: everything of the emulator but --scopes and --upstream.
const EMULATORS: [&str; 20] = [
    "real",
    "journal",
    "adc",
    "RealTokenArgs",
    "profile",
    "project",
    "project_number",
    "account",
    "token_lifetime",
    "token_renewal",
    "set",
    "overlay",
    "document",
    "plan",
    "fault",
    "event",
    "cold_start",
    "keys_directory",
    "strict",
    "cloud",
];

/// The arguments, of which each setting of the emulator has a variable.
#[derive(Debug)]
pub(crate) struct Args(Settings);

impl clap::Args for Args {
    fn augment_args(command: clap::Command) -> clap::Command {
        variables::with_variables(Settings::augment_args(command))
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        variables::with_variables(Settings::augment_args_for_update(command))
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
    pub(crate) fn run(&self, out: &Output) -> Result<ExitCode, Failure> {
        self.0.run(out)
    }
}

/// Returns arguments with the settings of the file that a variable names, if they are of `exec`
/// with an emulator.
pub(crate) fn with_config(arguments: Vec<OsString>) -> Result<Vec<OsString>, Failure> {
    let command = || <Args as clap::Args>::augment_args(clap::Command::new("exec"));
    variables::with_config(command, arguments)
}

/// Runs a program with an emulator of the metadata server.
///
/// Sets GCE_METADATA_HOST, GCE_METADATA_ROOT, GCE_METADATA_IP and METADATA_SERVER_DETECTION, which
/// lead every Google SDK to the emulator, and adds it to NO_PROXY. Unsets what would come first:
/// GOOGLE_APPLICATION_CREDENTIALS, GOOGLE_OAUTH_ACCESS_TOKEN, gcloud's CLOUDSDK_AUTH_ACCESS_TOKEN,
/// CLOUDSDK_AUTH_ACCESS_TOKEN_FILE and CLOUDSDK_AUTH_CREDENTIAL_FILE_OVERRIDE, NO_GCE_CHECK and
/// GCE_METADATA_MTLS_MODE. Passes signals on. The emulator ends with the program.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
struct Settings {
    /// Use this machine's own metadata server instead of an emulator
    #[arg(long, conflicts_with_all = ["EmulatorArgs", "RealTokenArgs", "journal", "adc"])]
    real: bool,
    /// Run an agent for the program instead of an emulator: a guarded metadata server with this
    /// machine's identity, for the program and its descendants alone
    ///
    /// CLOUDSDK_CONFIG points to an empty directory then. --as, --scopes, --max-lifetime,
    /// --boundary and --config narrow the identity. --upstream is the address of the metadata
    /// server.
    #[arg(long, conflicts_with_all = EMULATORS)]
    agent: bool,
    /// Be the program's HTTP proxy, too, where --isolated is not possible: http_proxy and its kin
    /// lead to the emulator
    ///
    /// Requests for the metadata server's own address and names get there, with --cloud also those
    /// for IAM, STS and OAuth, with a certificate that SSL_CERT_FILE and its kin lead to. All
    /// others get 502. Helps programs that use proxies. Other users of this machine reach the
    /// proxy, so it is refused beside real tokens.
    #[arg(long, conflicts_with_all = ["real", "agent", "RealTokenArgs", "upstream"])]
    as_proxy: bool,
    /// With --real, the metadata server to use
    #[arg(long, value_name = "HOST[:PORT]", requires = "real")]
    endpoint: Option<String>,
    /// With --real, give up detecting the server after this many seconds
    #[arg(long, value_name = "SECONDS", value_parser = seconds, requires = "real")]
    timeout: Option<Duration>,
    /// Print the requests of the program on standard error at its end, even with --quiet
    #[arg(long)]
    journal: bool,
    /// Give the program a credentials file of this kind, too, with the emulator's addresses, in
    /// GOOGLE_APPLICATION_CREDENTIALS
    #[arg(long, value_name = "KIND", value_parser = adc_kind())]
    adc: Option<AdcKind>,
    /// The program and its arguments
    #[arg(last = true, required = true, value_name = "CMD")]
    command: Vec<OsString>,
    #[command(flatten)]
    narrowed: agent::AgentArgs,
    #[cfg(target_os = "linux")]
    #[command(flatten)]
    isolated: isolated::IsolatedArgs,
    #[command(flatten)]
    emulator: EmulatorArgs,
    #[command(flatten)]
    tokens: RealTokenArgs,
}

impl Settings {
    fn run(&self, out: &Output) -> Result<ExitCode, Failure> {
        #[cfg(target_os = "linux")]
        if let Some(code) = self.isolated.become_program(&self.command, out) {
            return Ok(code);
        }
        if signals::is_init() {
            return run_again_as_child();
        }
        if self.agent {
            let run = |variables: &[_], run| self.run_with(variables, run, out);
            return self.narrowed.run(&self.emulator, out, run);
        }
        if self.adc.is_none() {
            warn_of_other_credentials(out);
        }
        if self.real {
            return self.run_with(&self.real_server()?, signals::run, out);
        }
        let commands = Commands::default();
        let builder = self.emulator.builder(&self.tokens, &commands, out)?;
        let running = Program::default();
        let builder = machine_end::ends(&running, builder);
        #[cfg(target_os = "linux")]
        if self.isolated.isolated {
            let wishes = isolated::Wishes {
                https: self.emulator.has_https(),
                apis: self.emulator.wants_apis(),
                adc: self.adc,
            };
            let ran = self
                .isolated
                .run((&self.command, &running), builder, wishes, out);
            let (code, emulator) = ran?;
            if let Some(emulator) = emulator.filter(|_| self.journal) {
                journal::print(&emulator, Led::Namespaces, out);
            }
            return Ok(code);
        }
        if self.as_proxy {
            let proxied = as_proxy::start(builder, self.emulator.wants_apis())?;
            let (emulator, variables) = (&proxied.emulator, proxied.variables());
            return self.run_with_emulator(emulator, variables, (Led::Proxy, &running), out);
        }
        let emulator = start_emulator(builder)?;
        self.run_with_emulator(&emulator, emulator.env(), (Led::Variables, &running), out)
    }

    /// Runs the program with an emulator, to which these variables lead.
    fn run_with_emulator(
        &self,
        emulator: &Emulator,
        mut variables: Vec<(String, String)>,
        (led, running): (Led, &Program),
        out: &Output,
    ) -> Result<ExitCode, Failure> {
        out.detail(format_args!("an emulator listens on {}", emulator.url()));
        // Removed at the end.
        let mut directory = None;
        if let Some(kind) = self.adc {
            let made = TemporaryDirectory::new().and_then(|directory| {
                let file = emulator.write_adc(directory.path(), kind)?;
                Ok((directory, file))
            });
            let (made, file) = made.map_err(|error| {
                let why = format!("cannot write the credentials file: {error}");
                Failure::new(Exit::Failed, why)
            })?;
            directory = Some(made);
            let file = file.to_string_lossy().into_owned();
            variables.push((CREDENTIALS[0].0.to_owned(), file));
            // The file names the emulator, which is none of Google's hosts.
            let host = emulator.addr().to_string();
            variables.push(("GCE_AUTH_TRUST_HOSTS".to_owned(), host));
        }
        let run = |command: &mut _| signals::run_as(running, command);
        let code = self.run_with(&variables, run, out)?;
        drop(directory);
        if self.journal {
            journal::print(emulator, led, out);
        }
        Ok(code)
    }

    /// Detects this machine's own server, and returns the variables that lead to it.
    fn real_server(&self) -> Result<Vec<(String, String)>, Failure> {
        let client = ClientArgs {
            endpoint: self.endpoint.clone(),
            timeout: self.timeout,
        };
        let client = client.client_without_deadline()?;
        let found = client.blocking_on_gce(Detection::Fast)?;
        if !found.is_on_gce() {
            let why = format!("{found}; leave out --real to run it with an emulator");
            return Err(Failure::new(Exit::NoServer, why));
        }
        let host = client.endpoint()?;
        let names = ["GCE_METADATA_HOST", "GCE_METADATA_ROOT", "GCE_METADATA_IP"];
        let mut variables = names.map(|name| (name.to_owned(), host.clone())).to_vec();
        variables.push((
            "METADATA_SERVER_DETECTION".to_owned(),
            "assume-present".to_owned(),
        ));
        Ok(variables)
    }

    fn run_with(
        &self,
        variables: &[(String, String)],
        run: impl FnOnce(&mut Command) -> io::Result<ExitStatus>,
        out: &Output,
    ) -> Result<ExitCode, Failure> {
        let Some((program, arguments)) = self.command.split_first() else {
            return Err(Failure::new(Exit::Usage, "name a program after --"));
        };
        let mut command = Command::new(program);
        command.args(arguments);
        program::clear(&mut command);
        command.envs(variables.iter().map(|(name, value)| (name, value)));
        if !self.as_proxy {
            let server = variables.first().map_or("", |(_, value)| value);
            program::keep_from_proxies(&mut command, host(server));
        }
        match run(&mut command) {
            Ok(status) => Ok(signals::code(status).into()),
            Err(error) => Ok(program::cannot_run(program, &error, out)),
        }
    }
}

/// Runs this command again in a child and reaps what it leaves behind: a process that is the first
/// of a container gets all orphans, and must not take the exit codes of token commands.
fn run_again_as_child() -> Result<ExitCode, Failure> {
    let arguments = env::arguments();
    let ran = env::program().and_then(|program| {
        let mut command = Command::new(program);
        command.args(arguments.iter().skip(1));
        signals::run_as_init(&mut command)
    });
    ran.map(|status| signals::code(status).into())
        .map_err(|error| Failure::new(Exit::Failed, format!("cannot run as init: {error}")))
}

/// Warns of gcloud's default credentials, which SDKs use before a metadata server.
fn warn_of_other_credentials(out: &Output) {
    let Some(file) = DefaultSource::gcloud_file() else {
        return;
    };
    if file.exists() {
        let file = file.display();
        out.note(format_args!(
            "Google's SDKs use the credentials in {file} before the metadata server; set \
             CLOUDSDK_CONFIG to an empty directory to hide them"
        ));
    }
}
