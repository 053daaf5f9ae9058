//! `gce-auth exec`.

use std::{
    ffi::OsString,
    io::ErrorKind,
    path::Path,
    process::{Command, ExitCode},
    time::Duration,
};

use gce_auth::Detection;

use crate::{
    cmd::world::{self, World},
    config::{self, Reach},
    env,
    exit::{Exit, Failure},
    out::Out,
    sdks::{CREDENTIALS, default_credentials, host, proxy_exceptions},
    signals,
    tokens::{Commands, RealTokens},
};

const EXAMPLES: &str = "\
Examples:
  gce-auth exec -- python3 my_program.py
  gce-auth exec --journal -- go test ./...
  gce-auth exec --profile cloud-run --set instance/region=projects/1/regions/europe-west1 -- ./server
  gce-auth exec --real -- sh -c 'echo $GCE_METADATA_HOST'

The exit code is the program's: 128 and the signal's number where a signal ended it, 127 where there is
no such program, 126 where it cannot be run.";

/// Runs a program with a metadata server of its own.
///
/// Every Google SDK in it is led to that server: GCE_METADATA_HOST, GCE_METADATA_ROOT, GCE_METADATA_IP
/// and METADATA_SERVER_DETECTION are set, proxies are told to let it be, and what would come first is
/// taken away: GOOGLE_APPLICATION_CREDENTIALS, GOOGLE_OAUTH_ACCESS_TOKEN, gcloud's
/// CLOUDSDK_AUTH_ACCESS_TOKEN, CLOUDSDK_AUTH_ACCESS_TOKEN_FILE and
/// CLOUDSDK_AUTH_CREDENTIAL_FILE_OVERRIDE, NO_GCE_CHECK and GCE_METADATA_MTLS_MODE. Signals are
/// passed on. The server ends with the program.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// With this machine's own metadata server instead of an emulator
    #[arg(long, conflicts_with_all = ["World", "RealTokens", "journal"])]
    real: bool,
    /// The metadata server, with --real
    #[arg(long, value_name = "HOST[:PORT]", requires = "real")]
    endpoint: Option<String>,
    /// With --real, give up looking for the server after this many seconds
    #[arg(long, value_name = "SECONDS", value_parser = config::seconds, requires = "real")]
    timeout: Option<Duration>,
    /// Afterwards, print on standard error what the program asked the server, even with --quiet
    #[arg(long)]
    journal: bool,
    /// The program and its arguments
    #[arg(last = true, required = true, value_name = "CMD")]
    command: Vec<OsString>,
    #[command(flatten)]
    world: World,
    #[command(flatten)]
    tokens: RealTokens,
}

impl Args {
    pub(crate) fn run(&self, out: &Out) -> Result<ExitCode, Failure> {
        warn_of_other_credentials(out);
        if self.real {
            return self.run_with(&self.real_server()?, out);
        }
        let commands = Commands::default();
        let emulator = world::start(self.world.builder(&self.tokens, &commands, out)?)?;
        out.detail(format_args!("an emulator listens on {}", emulator.url()));
        let code = self.run_with(&emulator.env(), out)?;
        if self.journal {
            let requests = emulator.requests();
            let kept = requests.len();
            let made = requests.last().map_or(0, |request| request.id);
            if made == kept as u64 {
                out.say(format_args!("the program made {made} requests:"));
            } else {
                out.say(format_args!(
                    "the program made {made} requests, of which these are the last {kept}:"
                ));
            }
            requests.iter().for_each(|request| out.say(request));
        }
        Ok(code)
    }

    /// The variables that lead to this machine's own server, which is there.
    fn real_server(&self) -> Result<Vec<(String, String)>, Failure> {
        let reach = Reach {
            endpoint: self.endpoint.clone(),
            timeout: self.timeout,
        };
        let client = reach.patient_client()?;
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

    fn run_with(&self, variables: &[(String, String)], out: &Out) -> Result<ExitCode, Failure> {
        let Some((program, arguments)) = self.command.split_first() else {
            return Err(Failure::new(Exit::Usage, "no program was named"));
        };
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env_remove("NO_GCE_CHECK")
            .env_remove("GCE_METADATA_MTLS_MODE");
        for (name, ..) in CREDENTIALS {
            command.env_remove(name);
        }
        command
            .envs(variables.iter().map(|(name, value)| (name, value)))
            .envs(without_proxy(variables));
        match signals::run(&mut command) {
            Ok(status) => Ok(signals::code(status).into()),
            Err(error) => {
                let program = program.to_string_lossy();
                let found = error.kind() != ErrorKind::NotFound;
                Ok(out.fail_as(
                    if found { 126 } else { 127 },
                    &format!("cannot run {program}: {error}"),
                ))
            }
        }
    }
}

/// What keeps proxies out of the way, where there are any.
fn without_proxy(variables: &[(String, String)]) -> Vec<(&'static str, String)> {
    let proxies = ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"];
    if proxies.iter().all(|name| env::var(name).is_none()) {
        return Vec::new();
    }
    let host = host(variables.first().map_or("", |(_, value)| value));
    let all = match proxy_exceptions(env::var) {
        // All hosts, which it says only where it is alone.
        Some(list) if list == "*" => list,
        Some(list) => format!("{list},{host}"),
        None => host.to_owned(),
    };
    // One list for all, as of two different ones clients take one.
    vec![("NO_PROXY", all.clone()), ("no_proxy", all)]
}

/// Clients look for a key file before they ask a metadata server.
fn warn_of_other_credentials(out: &Out) {
    let Some(file) = default_credentials(env::var) else {
        return;
    };
    if Path::new(&file).exists() {
        out.note(format_args!(
            "Google's SDKs use the credentials in {file} before they ask a metadata server"
        ));
    }
}
