//! The emulator that `emulate` and `exec` start.

use std::{
    error::Error,
    io::{self, ErrorKind},
    path::{Path, PathBuf},
    time::Duration,
};

use clap::{
    ValueEnum,
    builder::{OsStringValueParser, TypedValueParser as _},
};
use gce_auth_emulator::{Account, Emulator, EmulatorBuilder, Event, Profile, StartError};

use crate::{
    exit::{Exit, Failure},
    options::{scopes::Scopes, seconds::seconds},
    output::Output,
    real_tokens::{Commands, RealSource, RealTokenArgs},
};

/// The emulated machine. Flattens no other struct: an option that conflicts with all of these names
/// their group, which clap leaves empty if another group is flattened into it.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "The emulated machine")]
pub(crate) struct EmulatorArgs {
    /// The kind of machine
    #[arg(long, value_enum, default_value_t)]
    profile: Kind,
    /// The project id
    #[arg(long, value_name = "ID")]
    project: Option<String>,
    /// The project number
    #[arg(long, value_name = "NUMBER")]
    project_number: Option<u64>,
    /// A service account, by its email address; the first one is the default. May be repeated
    #[arg(long, value_name = "EMAIL")]
    account: Vec<String>,
    /// The scopes of the service accounts, separated by commas. Default: cloud-platform
    #[arg(long, value_name = "SCOPES", value_parser = Scopes::parse)]
    scopes: Vec<Scopes>,
    /// The lifetime of access tokens. Default: 3599
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    token_lifetime: Option<Duration>,
    /// The time before the expiry of a token at which the server makes a new one. Default: a
    /// twelfth of the lifetime
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    token_renewal: Option<Duration>,
    /// A metadata value, like instance/attributes/env=dev. May be repeated
    #[arg(long, value_name = "PATH=VALUE", value_parser = pair)]
    set: Vec<(String, String)>,
    /// A TOML file of values that replace the machine's own; read again when it changes. May be
    /// repeated
    #[arg(long, value_name = "FILE")]
    overlay: Vec<PathBuf>,
    /// A document to serve, as `gce-auth get --recursive /` prints it on a real machine; read
    /// again when it changes
    #[arg(long, value_name = "FILE")]
    document: Option<PathBuf>,
    /// A metadata server to ask for everything that is not set here, with its real tokens
    #[arg(long, value_name = "URL", conflicts_with = "document")]
    upstream: Option<String>,
    /// A TOML file with a plan: faults, machine events, cold starts, lifetimes
    #[arg(long, value_name = "FILE")]
    plan: Option<PathBuf>,
    /// A fault, as in a fault plan: 'path = "instance/", times = 2, fault = { kind = "hang" }'.
    /// May be repeated
    #[arg(long, value_name = "RULE")]
    fault: Vec<String>,
    /// A machine event, as in a plan: 'event = { kind = "preempt" }, in-seconds = 60'. May be
    /// repeated
    #[arg(long, value_name = "EVENT")]
    event: Vec<String>,
    /// Refuse connections for this long at first, as a metadata server that starts late
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    cold_start: Option<Duration>,
    /// Keep the signing keys in this directory, so that tokens can be verified after a restart
    #[arg(long, value_name = "DIR")]
    keys_directory: Option<PathBuf>,
    /// Refuse in the IAM, STS and OAuth APIs what Google refuses: unknown accounts and pools, odd
    /// scopes and audiences, long lifetimes
    #[arg(long)]
    strict: bool,
    /// A JSON file with users, pools, service accounts and impersonation grants, as `PUT
    /// /emulator/v1/cloud` takes them; without FILE all are as by default
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = "",
          value_parser = OsStringValueParser::new().map(PathBuf::from))]
    cloud: Option<PathBuf>,
}

/// The kind of machine.
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

impl EmulatorArgs {
    /// Returns the scopes, which `exec --agent` takes, too.
    pub(crate) fn scopes(&self) -> &[Scopes] {
        &self.scopes
    }

    /// Returns the metadata server, which `exec --agent` takes, too.
    pub(crate) fn upstream(&self) -> Option<&str> {
        self.upstream.as_deref()
    }

    /// Returns whether the machine has HTTPS with client certificates.
    #[cfg(target_os = "linux")]
    pub(crate) fn has_https(&self) -> bool {
        matches!(self.profile, Kind::Shielded)
    }

    /// Returns whether the APIs beside the server are asked for.
    pub(crate) fn wants_apis(&self) -> bool {
        self.cloud.is_some()
    }

    /// Returns a builder of this emulator with these tokens. Registers token commands in
    /// `commands`.
    pub(crate) fn builder(
        &self,
        tokens: &RealTokenArgs,
        commands: &Commands,
        out: &Output,
    ) -> Result<EmulatorBuilder, Failure> {
        if !self.scopes.is_empty() && self.account.is_empty() {
            return Err(Failure::new(Exit::Usage, "--scopes needs --account"));
        }
        let real = tokens.open(self.token_lifetime, out)?;
        let mut builder = Emulator::builder()
            .profile(self.profile.into())
            .on_event(printer(*out));
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
            builder = builder.account(Account::new(&email));
        }
        for email in &self.account {
            let mut account = Account::new(email);
            if !self.scopes.is_empty() {
                account = account.scopes(Scopes::all(&self.scopes));
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
        // The first fault that fits a request hits it: an option's before one of a file.
        for rule in &self.fault {
            builder = builder.plan(format!("faults = [{{ {rule} }}]"));
        }
        for event in &self.event {
            builder = builder.plan(format!("events = [{{ {event} }}]"));
        }
        if let Some(file) = &self.plan {
            builder = builder.plan_file(file);
        }
        if let Some(time) = self.cold_start {
            builder = builder.refuse_for(time);
        }
        if let Some(directory) = &self.keys_directory {
            builder = builder.keys_directory(directory);
        }
        if self.strict {
            builder = builder.strict(true);
        }
        if let Some(file) = self.cloud.as_ref().filter(|file| *file != Path::new("")) {
            builder = builder.cloud_file(file);
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

/// Prints the events of an emulator: requests only with `--verbose`.
fn printer(out: Output) -> impl Fn(&Event) + Send + Sync + 'static {
    move |event| match event {
        Event::Answered { .. } => out.detail(event),
        _ => out.note(event),
    }
}

/// Starts an emulator.
pub(crate) fn start_emulator(builder: EmulatorBuilder) -> Result<Emulator, Failure> {
    builder.start().map_err(|error| start_failure(&error))
}

/// Explains why the emulator did not start, and what to do.
fn start_failure(error: &StartError) -> Failure {
    if !error.is_address() {
        return Failure::new(Exit::Usage, error.to_string());
    }
    let cause = error.source().and_then(|cause| cause.downcast_ref());
    let advice = match cause.map(io::Error::kind) {
        Some(ErrorKind::AddrInUse) => {
            "; choose another port, or any free one with --port 0; remove the file of a Unix socket \
             that no program uses"
        }
        Some(ErrorKind::PermissionDenied) => "; only root may use ports below 1024",
        Some(ErrorKind::AddrNotAvailable) => {
            "; --address must be an address of this machine: give link-local to the loopback \
             interface with `ip address add 169.254.169.254/32 dev lo` first"
        }
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
