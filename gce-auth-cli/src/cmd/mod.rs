//! A file for each command: its arguments, one call, its output.

mod demo;
mod emulate;
mod format;
mod get;
mod id_token;
mod token;

use std::process::ExitCode;

use clap::Subcommand;

use crate::{exit::Failure, out::Out};

/// What `gce-auth` can do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Token(token::Args),
    IdToken(id_token::Args),
    Get(get::Args),
    Emulate(emulate::Args),
    Demo(demo::Args),
}

impl Command {
    /// Does it. The exit code is another than 0 where a program that was run
    /// chose it.
    pub(crate) fn run(&self, out: &Out) -> Result<ExitCode, Failure> {
        match self {
            Self::Token(args) => args.run(out),
            Self::IdToken(args) => args.run(out),
            Self::Get(args) => args.run(out),
            Self::Emulate(args) => args.run(out),
            Self::Demo(args) => args.run(out),
        }
        .map(|()| ExitCode::SUCCESS)
    }
}
