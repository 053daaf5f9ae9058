//! What the command ends with: codes that scripts may rely on, and failures.

use std::{fmt, io, process::ExitCode};

use gce_auth::{Error, ErrorKind};

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
  2  the arguments or the environment make no sense
  3  no metadata server: not on Google Cloud, nobody answers, or an impostor does;
     or no way to the Google service that was to be asked
  4  no answer in time
  5  refused (403)
  6  not found (404): no such path, or no service account
  7  the token does not live long enough";

impl Exit {
    /// The code for an error of the library.
    pub(crate) fn of(error: &Error) -> Self {
        match error.kind() {
            ErrorKind::NotOnGce | ErrorKind::NotMetadataServer => Self::NoServer,
            ErrorKind::Unavailable if error.status().is_none() => Self::NoServer,
            ErrorKind::Timeout => Self::Timeout,
            ErrorKind::Forbidden => Self::Refused,
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

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command did not do what was asked.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The library says why.
    Library(Error),
    /// A sentence and its code.
    Plain(Exit, String),
    /// Standard output could not be written.
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

    /// Whether whoever read the output had enough of it.
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

/// An error, and what to do.
fn advised(error: &Error, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match parts(error) {
        (what, Some(advice)) => write!(f, "{what}; {advice}"),
        (what, None) => f.write_str(&what),
    }
}

/// What to do where more time may help.
pub(crate) const MORE_TIME: &str =
    "give it longer with --timeout, or see with `gce-auth doctor` what is slow";

/// What the library advises with names of Rust, and what that is on the command line.
const REWORDED: [(&str, &str); 2] = [
    ("RetryPolicy", MORE_TIME),
    (
        "IdTokenCredentials",
        "`gce-auth token` and `gce-auth id-token` print one that is good",
    ),
];

/// What happened, and what to do: of its kind where no more is known.
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
