//! The forms that a token is printed in.

use std::time::{Duration, SystemTime};

use clap::ValueEnum;
use gce_auth::time::{Clock, SystemClock};
use serde_json::json;

use crate::{exit::Failure, out::Out, text};

/// The form of a token on standard output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// The token alone
    #[default]
    Text,
    /// A JSON object: token, token_type, expires_at, expires_in
    Json,
    /// NAME=TOKEN, for `docker run --env-file`
    Env,
    /// export NAME=TOKEN, for `eval` in a shell
    Export,
    /// The authorization header, for `curl -H @-`
    Header,
    /// A configuration, for `curl -K -`
    Curl,
}

/// A token to be printed.
#[derive(Debug)]
pub(crate) struct Printable<'a> {
    /// The variables that other tools read such a token from.
    pub(crate) variables: &'a [&'a str],
    pub(crate) secret: &'a str,
    pub(crate) expires_at: Option<SystemTime>,
}

impl Format {
    pub(crate) fn print(self, token: &Printable<'_>, out: &Out) -> Result<(), Failure> {
        let secret = token.secret;
        match self {
            Self::Text => out.pieces(&[secret, "\n"]),
            Self::Json => out.json(&json!({
                "token": secret,
                "token_type": "Bearer",
                "expires_at": token.expires_at.map(text::rfc3339),
                "expires_in": token.expires_at.map(|at| left(at).as_secs()),
            })),
            Self::Env | Self::Export => {
                let export = if self == Self::Export { "export " } else { "" };
                token
                    .variables
                    .iter()
                    .try_for_each(|name| out.pieces(&[export, name, "=", secret, "\n"]))
            }
            Self::Header => out.pieces(&["Authorization: Bearer ", secret, "\n"]),
            Self::Curl => out.pieces(&["header = \"Authorization: Bearer ", secret, "\"\n"]),
        }
    }
}

/// What is left until `time`.
pub(crate) fn left(time: SystemTime) -> Duration {
    let now = SystemClock::new().now().system_time();
    time.duration_since(now).unwrap_or_default()
}

/// `valid for 59 min 58 s`, as far as it is known.
pub(crate) fn validity(expires_at: Option<SystemTime>) -> String {
    expires_at.map_or_else(
        || "without an end".to_owned(),
        |at| format!("valid for {}", text::lasting(left(at))),
    )
}
