//! The emulator that `emulate` and `exec` start, by its arguments.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::ValueEnum;
use gce_auth_server::{Account, Emulator, EmulatorBuilder, Profile, StartError};

use crate::{
    cmd::token::full_scope,
    config,
    exit::{Exit, Failure},
    out::Out,
    tokens::{RealSource, RealTokens},
};

/// What the emulated machine is like.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "The emulated machine")]
pub(crate) struct World {
    /// The kind of machine
    #[arg(long, value_enum, default_value_t)]
    profile: Kind,
    /// The project's id
    #[arg(long, value_name = "ID")]
    project: Option<String>,
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
    /// A directory to keep the signing key in, so that tokens can be verified after a restart
    #[arg(long, value_name = "DIR")]
    keys_directory: Option<PathBuf>,
    #[command(flatten)]
    tokens: RealTokens,
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
    /// Starts it at `address`.
    pub(crate) fn start(&self, address: SocketAddr, out: &Out) -> Result<Emulator, Failure> {
        start(self.builder(out)?.address(address))
    }

    pub(crate) fn builder(&self, out: &Out) -> Result<EmulatorBuilder, Failure> {
        let real = self.tokens.open(self.token_lifetime, out)?;
        let mut builder = Emulator::builder().profile(self.profile.into());
        let keys = real.as_ref();
        let project = self.project.as_deref();
        if let Some(project) = project.or_else(|| keys.and_then(RealSource::project)) {
            builder = builder.project_id(project);
        }
        let email = keys.and_then(RealSource::account);
        if let Some(email) = email.filter(|_| self.account.is_empty()) {
            builder = builder.account(Account::new(email));
        }
        for email in &self.account {
            let mut account = Account::new(email);
            if let Some(scopes) = &self.scopes {
                account = account.scopes(scopes.iter().map(|scope| full_scope(scope)));
            }
            builder = builder.account(account);
        }
        if let Some(lifetime) = self.token_lifetime {
            builder = builder.token_lifetime(lifetime);
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
        if let Some(directory) = &self.keys_directory {
            builder = builder.keys_directory(directory);
        }
        for (path, value) in &self.set {
            builder = builder.set(path, value);
        }
        if let Some(real) = real {
            builder = real.feed(builder);
        }
        Ok(builder)
    }
}

/// Starts an emulator.
pub(crate) fn start(builder: EmulatorBuilder) -> Result<Emulator, Failure> {
    builder.start().map_err(|error| start_failure(&error))
}

/// Why the emulator did not start, and what to do.
fn start_failure(error: &StartError) -> Failure {
    if error.is_address() {
        return Failure::new(
            Exit::Failed,
            format!("{error}; choose another with --port, or any free one with --port 0"),
        );
    }
    Failure::new(Exit::Usage, error.to_string())
}

fn pair(text: &str) -> Result<(String, String), String> {
    text.split_once('=')
        .filter(|(path, _)| !path.is_empty())
        .map(|(path, value)| (path.to_owned(), value.to_owned()))
        .ok_or_else(|| "give a path and a value, like instance/attributes/env=dev".to_owned())
}
