//! The emulator that `emulate` and `exec` start, by its arguments.

use std::{
    error::Error,
    io::{self, ErrorKind},
    path::PathBuf,
    time::Duration,
};

use clap::ValueEnum;
use gce_auth_emulator::{Account, Emulator, EmulatorBuilder, Event, Profile, StartError};

use crate::{
    cmd::token::full_scopes,
    config,
    exit::{Exit, Failure},
    out::Out,
    tokens::{Commands, RealSource, RealTokens},
};

/// What the emulated machine is like. It has no options of another struct: what conflicts with all
/// of its own names its group, which clap leaves empty where one is flattened into it.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "The emulated machine")]
pub(crate) struct World {
    /// The kind of machine
    #[arg(long, value_enum, default_value_t)]
    profile: Kind,
    /// The project's id
    #[arg(long, value_name = "ID")]
    project: Option<String>,
    /// The project's number
    #[arg(long, value_name = "NUMBER")]
    project_number: Option<u64>,
    /// A service account, by its email address; the first is the default one. May be repeated
    #[arg(long, value_name = "EMAIL")]
    account: Vec<String>,
    /// The scopes of the service accounts, separated by commas, instead of cloud-platform
    #[arg(
        long,
        value_name = "SCOPES",
        value_delimiter = ',',
        requires = "account"
    )]
    scopes: Option<Vec<String>>,
    /// How long access tokens hold, instead of an hour
    #[arg(long, value_name = "SECONDS", value_parser = config::seconds)]
    token_lifetime: Option<Duration>,
    /// How long before a token's end the server has a new one, instead of a twelfth of its lifetime
    #[arg(long, value_name = "SECONDS", value_parser = config::seconds)]
    token_renewal: Option<Duration>,
    /// A metadata value, like instance/attributes/env=dev. May be repeated
    #[arg(long, value_name = "PATH=VALUE", value_parser = pair)]
    set: Vec<(String, String)>,
    /// Values in TOML, put over the machine's own; followed when the file changes. May be repeated
    #[arg(long, value_name = "FILE")]
    overlay: Vec<PathBuf>,
    /// A document to serve, as `gce-auth get --recursive /` prints it on a real machine; followed, too
    #[arg(long, value_name = "FILE")]
    document: Option<PathBuf>,
    /// A metadata server to ask for all that is not set here, with its real tokens
    #[arg(long, value_name = "URL", conflicts_with = "document")]
    upstream: Option<String>,
    /// A plan of what shall go wrong, in TOML: faults, cold starts, lifetimes
    #[arg(long, value_name = "FILE")]
    plan: Option<PathBuf>,
    /// What shall go wrong, as a plan has it: 'path = "instance/", times = 2, fault = { kind = "hang" }'. May be
    /// repeated
    #[arg(long, value_name = "RULE")]
    fault: Vec<String>,
    /// Refuse connections at first for so long, as a metadata server does that starts late
    #[arg(long, value_name = "SECONDS", value_parser = config::seconds)]
    cold_start: Option<Duration>,
    /// A directory to keep the signing key in, so that tokens can be verified after a restart
    #[arg(long, value_name = "DIR")]
    keys_directory: Option<PathBuf>,
}

/// The kinds of machine that the emulator can pose as.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Kind {
    /// A Compute Engine VM with a service account
    #[default]
    Gce,
    /// A Compute Engine VM without one
    GceWithoutAccount,
    /// A shielded Compute Engine VM, which has HTTPS with client certificates
    Shielded,
    /// A pod on GKE with Workload Identity
    Gke,
    /// A Cloud Run service
    CloudRun,
    /// An App Engine service, standard environment
    AppEngine,
}

impl From<Kind> for Profile {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Gce => Self::Gce,
            Kind::GceWithoutAccount => Self::GceWithoutAccount,
            Kind::Shielded => Self::Shielded,
            Kind::Gke => Self::Gke,
            Kind::CloudRun => Self::CloudRun,
            Kind::AppEngine => Self::AppEngine,
        }
    }
}

impl World {
    /// An emulator like this, that hands out these tokens; commands that print them are among `commands`.
    pub(crate) fn builder(
        &self,
        tokens: &RealTokens,
        commands: &Commands,
        out: &Out,
    ) -> Result<EmulatorBuilder, Failure> {
        let real = tokens.open(self.token_lifetime, out)?;
        let mut builder = Emulator::builder()
            .profile(self.profile.into())
            .on_event(teller(*out));
        let keys = real.as_ref();
        let project = self.project.as_deref();
        if let Some(project) = project.or_else(|| keys.and_then(RealSource::project)) {
            builder = builder.project_id(project);
        }
        if let Some(number) = self.project_number {
            builder = builder.numeric_project_id(number);
        }
        let email = keys.and_then(RealSource::account);
        if let Some(email) = email.filter(|_| self.account.is_empty()) {
            builder = builder.account(Account::new(email));
        }
        for email in &self.account {
            let mut account = Account::new(email);
            if let Some(scopes) = &self.scopes {
                account = account.scopes(full_scopes(scopes));
            }
            builder = builder.account(account);
        }
        if let Some(lifetime) = self.token_lifetime {
            builder = builder.token_lifetime(lifetime);
        }
        if let Some(renewal) = self.token_renewal {
            builder = builder.token_renewal(renewal);
        }
        if let Some(file) = &self.document {
            builder = builder.document_file(file);
        }
        for file in &self.overlay {
            builder = builder.overlay_file(file);
        }
        if let Some(url) = &self.upstream {
            builder = builder.upstream(url);
        }
        if let Some(file) = &self.plan {
            builder = builder.plan_file(file);
        }
        for rule in &self.fault {
            builder = builder.plan(format!("faults = [{{ {rule} }}]"));
        }
        if let Some(time) = self.cold_start {
            builder = builder.refuse_for(time);
        }
        if let Some(directory) = &self.keys_directory {
            builder = builder.keys_directory(directory);
        }
        for (path, value) in &self.set {
            builder = builder.set(path, value);
        }
        if let Some(real) = real {
            builder = real.feed(builder, commands);
        }
        Ok(builder)
    }
}

/// Tells what happens in an emulator: requests to those who want to know much.
fn teller(out: Out) -> impl Fn(&Event) + Send + Sync + 'static {
    move |event| match event {
        Event::Answered { .. } => out.detail(event),
        _ => out.note(event),
    }
}

/// Starts an emulator.
pub(crate) fn start(builder: EmulatorBuilder) -> Result<Emulator, Failure> {
    builder.start().map_err(|error| start_failure(&error))
}

/// Why the emulator did not start, and what to do.
fn start_failure(error: &StartError) -> Failure {
    if !error.is_address() {
        return Failure::new(Exit::Usage, error.to_string());
    }
    let cause = error.source().and_then(|cause| cause.downcast_ref());
    let advice = match cause.map(io::Error::kind) {
        Some(ErrorKind::AddrInUse) => {
            "; choose another with --port, or any free one with --port 0; of a Unix socket, remove \
             the file"
        }
        Some(ErrorKind::PermissionDenied) => "; ports below 1024 are for the administrator",
        Some(ErrorKind::AddrNotAvailable) => "; --address must be one of this machine's",
        _ => "",
    };
    Failure::new(Exit::Failed, format!("{error}{advice}"))
}

fn pair(text: &str) -> Result<(String, String), String> {
    text.split_once('=')
        .filter(|(path, _)| !path.is_empty())
        .map(|(path, value)| (path.to_owned(), value.to_owned()))
        .ok_or_else(|| "give a path and a value, like instance/attributes/env=dev".to_owned())
}
