//! Real access tokens, for an emulator that shall hand those out.

mod answer;
mod command;
mod key;
mod running;

use std::{
    fmt,
    path::{Path, PathBuf},
    time::Duration,
};

use gce_auth_emulator::EmulatorBuilder;

use crate::{
    exit::{Exit, Failure},
    input,
    output::Output,
};
use key::Key;

pub(crate) use running::Commands;

/// How long a token is taken to hold where nothing says so. It may come from a
/// cache and be near its end, so that it had better be asked for again soon.
const UNKNOWN: Duration = Duration::from_secs(300);

/// Where the access tokens come from, instead of the emulator.
#[derive(Clone, Debug, clap::Args)]
#[group(multiple = false)]
#[command(next_help_heading = "Real access tokens")]
pub(crate) struct RealTokenArgs {
    /// A shell command that prints a token, alone or in JSON with access_token and expires_in
    ///
    /// It has 10 seconds. GCE_AUTH_ACCOUNT and GCE_AUTH_SCOPES tell it for whom, and for which scopes,
    /// separated by commas. If it fails, so does the request, with what it said on standard error. A
    /// token alone is taken to hold for --token-lifetime, or 5 minutes.
    #[arg(long, value_name = "CMD")]
    token_command: Option<String>,
    /// A file with a token and nothing else, read anew for each request
    ///
    /// The token is taken to hold for --token-lifetime, or 5 minutes.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// A service account's key in JSON, to get tokens with from its token_uri
    ///
    /// The service account and the project are those of the key, unless they are named.
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
        let key = Key::parse(&input::secret(file)?).map_err(|why| {
            let why = format!("{} is no service account's key: {why}", file.display());
            Failure::new(Exit::Usage, why)
        })?;
        Ok(Some(RealSource::Key(key)))
    }
}

/// Something that gives access tokens.
pub(crate) enum RealSource {
    Command(String, Duration),
    File(PathBuf, Duration),
    Key(Key),
}

impl RealSource {
    /// The account that it is for, where that is known.
    pub(crate) fn account(&self) -> Option<&str> {
        match self {
            Self::Key(key) => Some(key.email()),
            Self::Command(..) | Self::File(..) => None,
        }
    }

    /// The project of that account, where that is known.
    pub(crate) fn project(&self) -> Option<&str> {
        match self {
            Self::Key(key) => key.project(),
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
            Self::Key(key) => builder.token_source(move |email, scopes| key.token(email, scopes)),
        }
    }
}

impl fmt::Debug for RealSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Command(..) => "RealSource::Command",
            Self::File(..) => "RealSource::File",
            Self::Key(_) => "RealSource::Key",
        })
    }
}

fn read_again(file: &Path) -> Result<String, String> {
    let text = input::secret(file).map_err(|failure| failure.to_string())?;
    answer::alone(&text).map_err(|why| format!("{} {why}", file.display()))
}

/// A secret that others can read is one no more.
#[cfg(unix)]
fn warn_of_readers(file: &Path, out: &Output) {
    use std::{fs::File, os::unix::fs::PermissionsExt};

    let metadata = File::open(file).and_then(|file| file.metadata());
    if metadata.is_ok_and(|metadata| metadata.permissions().mode() & 0o044 != 0) {
        let file = file.display();
        out.note(format_args!(
            "others than its owner can read {file}; chmod 600 takes that away"
        ));
    }
}

#[cfg(not(unix))]
fn warn_of_readers(_: &Path, _: &Output) {}
