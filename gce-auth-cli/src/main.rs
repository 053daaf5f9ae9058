//! The command `gce-auth`: tokens, ID tokens and metadata for scripts, and an
//! emulator of the metadata server.
#![forbid(unsafe_code)]

mod cmd;
mod config;
mod deadline;
mod env;
mod exit;
mod input;
mod out;
mod sdks;
mod signals;
mod text;
mod timer;
mod tokens;

use std::process::ExitCode;

use crate::{config::Args, out::Out};

fn main() -> ExitCode {
    let args = Args::read();
    let out = Out::new(args.manner);
    match args.command.run(&out) {
        Ok(code) => code,
        Err(failure) => out.fail(&failure),
    }
}
