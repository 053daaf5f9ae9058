//! The command `gce-auth`, as a function. Not an API: it is a crate so that the fuzz targets can
//! link its parts.
#![forbid(unsafe_code)]

mod cli;
mod clock;
mod cmd;
mod deadline;
mod env;
mod exit;
#[cfg(any(test, feature = "_fuzz"))]
#[doc(hidden)]
pub mod fuzzing;
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

/// Reads the arguments of the process and runs the command that they name. Returns its exit code.
#[must_use]
pub fn run() -> ExitCode {
    let args = Args::read();
    let out = Output::new(args.level());
    match args.run(&out) {
        Ok(code) => code,
        Err(failure) => out.fail(&failure),
    }
}
