//! Real access tokens, for an emulator that hands those out.

mod answer;
mod command;
mod running;

use std::{
    fmt,
    path::{Path, PathBuf},
    time::Duration,
};

use gce_auth::{Credentials, CredentialsKind, DefaultOptions, Error, MetadataClient, RetryPolicy};
use gce_auth_emulator::EmulatorBuilder;
pub(crate) use running::Commands;

use crate::{
    clock,
    exit::{Exit, Failure},
    input,
    output::Output,
};

/// How long a token is taken to hold where nothing says so. It may come from a
/// cache and be near its end, so that it had better be asked for again soon.
const UNKNOWN: Duration = Duration::from_secs(300);

/// How long the token endpoint of a key may take.
const LIMIT: Duration = Duration::from_secs(10);
/// The hosts that a key may name besides Google's: what is on this machine.
const THIS_MACHINE: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

/// Where the access tokens come from, instead of the emulator.
#[derive(Clone, Debug, clap::Args)]
#[group(multiple = false)]
#[command(next_help_heading = "Real access tokens")]
pub(crate) struct RealTokenArgs {
    /// A shell command that prints a token, alone or in JSON with access_token and expires_in
    ///
    /// It must end within 10 seconds. GCE_AUTH_ACCOUNT names the account, GCE_AUTH_SCOPES the
    /// scopes, separated by commas. If it fails, the request fails with what it wrote on
    /// standard error. A token alone is taken to be valid for --token-lifetime, or 5 minutes.
    #[arg(long, value_name = "CMD")]
    token_command: Option<String>,
    /// A file with a token and nothing else, read anew for each request
    ///
    /// The token is taken to be valid for --token-lifetime, or 5 minutes.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// A service account's key in JSON, to get tokens with from its token_uri
    ///
    /// The service account and the project are those of the key, unless they are named. The
    /// token_uri is Google's, on this machine, or at a host in GCE_AUTH_TRUST_HOSTS.
    #[arg(long, value_name = "FILE", conflicts_with = "token_lifetime")]
    service_account_key: Option<PathBuf>,
}

impl RealTokenArgs {
    /// The source that was asked for, ready to be used.
    pub(crate) fn open(
        &self,
        lifetime: Option<Duration>,
        out: &Output,
    ) -> Result<Option<RealSource>, Failure> {
        let lifetime = lifetime.unwrap_or(UNKNOWN);
        if let Some(command) = &self.token_command {
            return Ok(Some(RealSource::Command(command.clone(), lifetime)));
        }
        if let Some(file) = &self.token_file {
            warn_of_readers(file, out);
            answer::alone(&input::secret(file)?).map_err(|why| {
                let why = format!("{} {why}", file.display());
                Failure::new(Exit::Usage, why)
            })?;
            return Ok(Some(RealSource::File(file.clone(), lifetime)));
        }
        let Some(file) = &self.service_account_key else {
            return Ok(None);
        };
        warn_of_readers(file, out);
        Ok(Some(RealSource::key(file)?))
    }
}

/// Something that gives access tokens.
pub(crate) enum RealSource {
    Command(String, Duration),
    File(PathBuf, Duration),
    Key {
        credentials: Credentials,
        project: Option<String>,
    },
}

impl RealSource {
    /// Reads a service account's key.
    fn key(file: &Path) -> Result<Self, Failure> {
        let policy = RetryPolicy::new().attempts(2).budget(LIMIT);
        let mut options =
            DefaultOptions::new().client(MetadataClient::builder().retry(policy).build()?);
        for host in THIS_MACHINE {
            options = options.trust_host(host);
        }
        let refused = |why: &dyn fmt::Display| {
            let why = format!("{} is no service account's key: {why}", file.display());
            Failure::new(Exit::Usage, why)
        };
        let found = options.load_file(file).map_err(|error| refused(&error))?;
        match found.credentials.kind() {
            CredentialsKind::ServiceAccount => Ok(Self::Key {
                credentials: found.credentials,
                project: found.project_id,
            }),
            other => Err(refused(&format_args!("its type is {}", other.name()))),
        }
    }

    /// The account that it is for, where that is known.
    pub(crate) fn account(&self) -> Option<String> {
        match self {
            Self::Key { credentials, .. } => credentials.service_account_email(),
            Self::Command(..) | Self::File(..) => None,
        }
    }

    /// The project of that account, where that is known.
    pub(crate) fn project(&self) -> Option<&str> {
        match self {
            Self::Key { project, .. } => project.as_deref(),
            Self::Command(..) | Self::File(..) => None,
        }
    }

    /// Has an emulator hand out these tokens.
    pub(crate) fn feed(self, builder: EmulatorBuilder, commands: &Commands) -> EmulatorBuilder {
        match self {
            Self::Command(command, lifetime) => {
                let running = commands.running();
                builder.token_source(move |email, scopes| {
                    let whose = (email, scopes);
                    command::token(&command, &running, whose, command::LIMIT, lifetime)
                })
            }
            // A cached token is replaced this long before its end: at once.
            Self::File(file, lifetime) => builder
                .token_renewal(Duration::MAX)
                .token_source(move |_, _| Ok((read_again(&file)?, lifetime))),
            Self::Key { credentials, .. } => {
                builder.token_source(move |email, scopes| token_of_key(&credentials, email, scopes))
            }
        }
    }
}

impl fmt::Debug for RealSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Command(..) => "RealSource::Command",
            Self::File(..) => "RealSource::File",
            Self::Key { .. } => "RealSource::Key",
        })
    }
}

/// A token of the account `email`, which must be the key's.
fn token_of_key(
    key: &Credentials,
    email: &str,
    scopes: &[String],
) -> Result<(String, Duration), String> {
    let own = key.info().principal;
    if email != own {
        return Err(format!("the key is one of {own}, not of {email}"));
    }
    let token = key.with_scopes(scopes).blocking_token();
    let token = token.map_err(|error: Error| error.to_string())?;
    let left = token.expires_at().map_or(UNKNOWN, clock::left);
    Ok((token.secret().to_owned(), left))
}

fn read_again(file: &Path) -> Result<String, String> {
    let text = input::secret(file).map_err(|failure| failure.to_string())?;
    answer::alone(&text).map_err(|why| format!("{} {why}", file.display()))
}

/// Warns of a secret that other users can read.
fn warn_of_readers(file: &Path, out: &Output) {
    if input::is_readable_by_others(file) {
        let file = file.display();
        out.note(format_args!(
            "{file} is readable by other users; run `chmod 600 {file}`"
        ));
    }
}
