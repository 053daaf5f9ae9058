//! The output formats of a token.

use std::time::SystemTime;

use clap::ValueEnum;
use serde_json::json;

use crate::{clock, exit::Failure, output::Output, text};

/// The output format of a token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum TokenFormat {
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
    /// The environment variables that other tools read such a token from.
    pub(crate) variables: &'a [&'a str],
    pub(crate) secret: &'a str,
    pub(crate) expires_at: Option<SystemTime>,
}

impl TokenFormat {
    pub(crate) fn print(self, token: &Printable<'_>, out: &Output) -> Result<(), Failure> {
        let secret = token.secret;
        match self {
            Self::Text => out.pieces(&[secret, "\n"]),
            Self::Json => out.json(&json!({
                "token": secret,
                "token_type": "Bearer",
                "expires_at": token.expires_at.map(text::rfc3339),
                "expires_in": token.expires_at.map(|at| clock::left(at).as_secs()),
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
