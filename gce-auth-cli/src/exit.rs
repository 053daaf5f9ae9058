//! Exit codes, which scripts may rely on, and failures.

use std::{fmt, io, process::ExitCode};

use gce_auth::{Error, ErrorKind};
use gce_auth_agent::StartError;

/// The exit codes. They are part of the interface and do not change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    Failed = 1,
    Usage = 2,
    NoServer = 3,
    Timeout = 4,
    Refused = 5,
    NotFound = 6,
    TooShort = 7,
}

/// The exit codes, as the help shows them.
pub(crate) const TABLE: &str = "\
Exit codes:
  0  done
  1  failed in another way
  2  wrong arguments, environment or file
  3  no credentials: no file, and no metadata server, as this is not on Google Cloud, no answer,
     or another server answers; or a Google service that cannot be reached
  4  no answer in time
  5  refused (403), or the login is no longer valid (invalid_grant)
  6  not found (404): no such path, or no service account
  7  the token expires too soon";

impl Exit {
    /// Returns the code for an error of the library.
    pub(crate) fn of(error: &Error) -> Self {
        match error.kind() {
            ErrorKind::NotOnGce | ErrorKind::NotMetadataServer => Self::NoServer,
            ErrorKind::Unavailable if error.status().is_none() => Self::NoServer,
            ErrorKind::Timeout => Self::Timeout,
            ErrorKind::Forbidden => Self::Refused,
            // RFC 6749, 5.2: a login that was revoked or has expired.
            ErrorKind::Refused if error.to_string().contains("invalid_grant") => Self::Refused,
            ErrorKind::Refused => match error.status() {
                Some(401 | 403) => Self::Refused,
                Some(404) => Self::NotFound,
                _ => Self::Failed,
            },
            ErrorKind::NotFound => Self::NotFound,
            ErrorKind::Expired => Self::TooShort,
            ErrorKind::Config => Self::Usage,
            _ => Self::Failed,
        }
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        match error {
            StartError::Setting(why) => Self::new(Exit::Usage, why),
            StartError::System(why) => Self::new(Exit::Failed, why),
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// An error of the library.
    Library(Error),
    /// An error of the command, and its code.
    Plain(Exit, String),
    /// Standard output cannot be written.
    Output(io::Error),
}

impl Failure {
    pub(crate) fn new(exit: Exit, why: impl Into<String>) -> Self {
        Self::Plain(exit, why.into())
    }

    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Library(error) => Exit::of(error),
            Self::Plain(exit, _) => *exit,
            Self::Output(_) => Exit::Failed,
        }
    }

    /// Returns whether the reader of the output went away.
    pub(crate) fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Library(error)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Library(error) => advised(error, f),
            Self::Plain(_, why) => f.write_str(why),
            Self::Output(error) => write!(f, "cannot write to standard output: {error}"),
        }
    }
}

/// Writes an error and its advice.
fn advised(error: &Error, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match parts(error) {
        (what, Some(advice)) => write!(f, "{what}; {advice}"),
        (what, None) => f.write_str(&what),
    }
}

/// The advice where more time may help.
pub(crate) const MORE_TIME: &str =
    "allow more time with --timeout, or find with `gce-auth doctor` what is slow";

/// Names of Rust in the library's advice, and the advice for the command line.
const REWORDED: [(&str, &str); 2] = [
    ("RetryPolicy", MORE_TIME),
    (
        "IdTokenCredentials",
        "`gce-auth token` and `gce-auth id-token` print valid tokens",
    ),
];

/// Separates what happened from what to do.
pub(crate) fn parts(error: &Error) -> (String, Option<String>) {
    let mut what = error.to_string();
    let Some(hint) = error.hint() else {
        return (what, None);
    };
    if let Some(text) = what.strip_suffix(&format!("; {hint}")) {
        what.truncate(text.len());
    }
    (what, Some(reworded(hint).to_owned()))
}

fn reworded(hint: &str) -> &str {
    let known = REWORDED.iter().find(|(name, _)| hint.contains(name));
    known.map_or(hint, |(_, advice)| advice)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advice_names_nothing_of_rust() {
        let hint = "ask again, or allow more time with Limits and RetryPolicy";
        assert_eq!(reworded(hint), MORE_TIME);
        assert_eq!(reworded("is it there?"), "is it there?");
    }

    #[test]
    fn the_table_names_every_code() {
        for exit in [
            Exit::Failed,
            Exit::Usage,
            Exit::NoServer,
            Exit::Timeout,
            Exit::Refused,
            Exit::NotFound,
            Exit::TooShort,
        ] {
            assert!(TABLE.contains(&format!("\n  {}  ", exit as u8)), "{exit:?}");
        }
    }
}
