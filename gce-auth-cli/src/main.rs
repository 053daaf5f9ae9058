//! The command `gce-auth`: tokens, ID tokens and metadata for scripts, and an emulator of the
//! metadata server.
#![forbid(unsafe_code)]

mod cli;
mod clock;
mod cmd;
mod deadline;
mod env;
mod exit;
mod helper;
mod input;
mod install;
mod next_program;
mod options;
mod output;
mod real_tokens;
mod sdk_environment;
mod signals;
mod temporary;
mod text;

use std::process::ExitCode;

use crate::{cli::Args, output::Output};

fn main() -> ExitCode {
    let args = Args::read();
    let out = Output::new(args.level());
    match args.run(&out) {
        Ok(code) => code,
        Err(failure) => out.fail(&failure),
    }
}
