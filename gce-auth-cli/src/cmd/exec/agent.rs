//! `gce-auth exec --agent`: an agent for one program.

use std::{
    io,
    net::Ipv4Addr,
    path::PathBuf,
    process::{Command, ExitCode, ExitStatus, id},
    sync::Arc,
    time::Duration,
};

use gce_auth::DefaultSource;
use gce_auth_agent::{
    AgentBuilder,
    policy::{Limits, SourceKind},
};
use gce_auth_emulator::Emulator;

use crate::{
    exit::{Exit, Failure},
    options::{EmulatorArgs, Scopes, agent_source, boundary_of, token_lifetime},
    output::Output,
    signals,
    temporary::TemporaryDirectory,
};

/// Runs a program to its end.
type Run = fn(&mut Command) -> io::Result<ExitStatus>;

/// What narrows the program's identity.
#[derive(Debug, clap::Args)]
#[group(id = "AgentArgs")]
#[command(next_help_heading = "With --agent")]
pub(super) struct AgentArgs {
    /// The rules: `child-of = "exec"` is the program; those for it come first
    #[arg(long, value_name = "FILE", requires = "agent")]
    config: Option<PathBuf>,
    /// Where tokens come from: the metadata server of this machine, or Application Default
    /// Credentials
    #[arg(long, value_name = "metadata|adc", value_parser = agent_source, requires = "agent")]
    source: Option<SourceKind>,
    /// The URL of the IAM Credentials API, for emulators and private endpoints
    #[arg(long, value_name = "URL", requires = "agent")]
    iam_endpoint: Option<String>,
    /// Give tokens of this service account instead, by impersonation
    #[arg(long = "as", value_name = "EMAIL", requires = "agent")]
    act_as: Option<String>,
    /// How long the tokens of --as live at most, like 15m
    #[arg(long, value_name = "D", requires = "act_as", value_parser = token_lifetime)]
    max_lifetime: Option<Duration>,
    /// A JSON file with a Credential Access Boundary, to which tokens are downscoped
    #[arg(long, value_name = "FILE", requires = "agent")]
    boundary: Option<PathBuf>,
}

impl AgentArgs {
    /// Runs the program with an agent of its own. Only its descendants are served. `program` runs
    /// it with these variables, in this way.
    pub(super) fn run(
        &self,
        emulator: &EmulatorArgs,
        out: &Output,
        program: impl FnOnce(&[(String, String)], Run) -> Result<ExitCode, Failure>,
    ) -> Result<ExitCode, Failure> {
        let agent = self.builder(emulator, *out)?.start()?;
        // Daemons stay descendants of this process then, whose agent they may ask.
        signals::adopt_orphans().map_err(|error| {
            Failure::new(Exit::Failed, format!("cannot adopt orphans: {error}"))
        })?;
        let address = agent.tcp().first().copied();
        let address = address.unwrap_or_else(|| (Ipv4Addr::LOCALHOST, 0).into());
        out.detail(format_args!("an agent listens on {address}"));
        let mut variables = Emulator::env_of(address);
        // A login beside the agent would be as wide as ever.
        let nothing = TemporaryDirectory::new().map_err(|error| {
            Failure::new(Exit::Failed, format!("cannot make a directory: {error}"))
        })?;
        let path = nothing.path().to_string_lossy().into_owned();
        variables.push(("CLOUDSDK_CONFIG".to_owned(), path));
        warn_of_login(out);
        // Commands of credentials files are children, too, and waited for where they are started.
        let run: Run = match agent.source() {
            SourceKind::Adc => signals::run,
            SourceKind::Metadata => signals::run_as_init,
        };
        program(&variables, run)
    }

    fn builder(&self, emulator: &EmulatorArgs, out: Output) -> Result<AgentBuilder, Failure> {
        let scopes: Vec<String> = Scopes::all(emulator.scopes()).map(str::to_owned).collect();
        Ok(AgentBuilder {
            config_file: self.config.clone(),
            listen: vec![(Ipv4Addr::LOCALHOST, 0).into()],
            source: self.source,
            upstream: emulator.upstream().map(str::to_owned),
            iam_endpoint: self.iam_endpoint.clone(),
            limits: Limits {
                act_as: self.act_as.as_deref().map(Arc::from),
                scopes: (!scopes.is_empty()).then_some(scopes),
                max_lifetime: self.max_lifetime,
                boundary: self.boundary()?,
            },
            parent: Some(id()),
            log: Arc::new(move |text| out.note(text)),
            ..AgentBuilder::default()
        })
    }

    fn boundary(&self) -> Result<Option<Arc<str>>, Failure> {
        let Some(file) = &self.boundary else {
            return Ok(None);
        };
        Ok(Some(boundary_of(file)?.to_json().into()))
    }
}

/// Warns of a login that some SDKs find wherever `CLOUDSDK_CONFIG` points.
fn warn_of_login(out: &Output) {
    if let Some(file) = DefaultSource::gcloud_file().filter(|file| file.exists()) {
        let file = file.display();
        out.note(format_args!(
            "SDKs that ignore CLOUDSDK_CONFIG, such as Go's, use the login in {file} before the \
             agent; set HOME to another directory to hide it"
        ));
    }
}
