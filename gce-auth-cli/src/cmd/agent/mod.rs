//! `gce-auth agent`.

mod check;
mod control;
mod serve;

use std::process::ExitCode;

use clap::Subcommand;

use crate::{exit::Failure, output::Output};

const EXAMPLES: &str = "\
Examples:
  gce-auth agent --listen 127.0.0.1:8174          for the own user and root
  GCE_METADATA_HOST=127.0.0.1:8174 python3 program.py
  gce-auth agent --config /etc/gce-auth/agent.toml --admin 127.0.0.1:8175 --audit /var/log/gce-auth
  gce-auth agent --listen 127.0.0.1:8174 --source adc    a login as a metadata server
  gce-auth agent check --config agent.toml --user www-data /computeMetadata/v1/instance/zone
  gce-auth agent reload --admin 127.0.0.1:8175";

/// Runs a metadata server for the processes of this host, pod or sandbox: one identity, cached, and
/// narrowed for each caller.
///
/// The kernel says who calls; the rules of --config say what each caller may have. Without a file
/// only the own user and root are served. SIGHUP reads the file again, SIGUSR1 drops all tokens,
/// SIGTERM and SIGINT end it when the requests under way are answered.
#[derive(Debug, clap::Args)]
#[command(
    after_help = EXAMPLES,
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true
)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: serve::ServeArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Tells what the rules of a file decide about a request, and why
    Check(check::CheckArgs),
    /// Makes a running agent read its file again
    Reload(control::ControlArgs),
    /// Makes a running agent drop all tokens
    Flush(control::ControlArgs),
}

impl Args {
    pub(crate) fn run(&self, out: &Output) -> Result<ExitCode, Failure> {
        match &self.command {
            None => self.serve.run(out).map(|()| ExitCode::SUCCESS),
            Some(Command::Check(args)) => args.run(out),
            Some(Command::Reload(args)) => args
                .run(control::Verb::Reload, out)
                .map(|()| ExitCode::SUCCESS),
            Some(Command::Flush(args)) => args
                .run(control::Verb::Flush, out)
                .map(|()| ExitCode::SUCCESS),
        }
    }
}
