//! The smallest program that prints a token.
//!
//! `cargo run -p gce-auth --example print_token`, on Google Cloud or with
//! `GCE_METADATA_HOST` set to where `gce-auth emulate` listens.
//! `peers/run programs` measures such a program beside others.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program prints"
)]

use std::process::ExitCode;

fn main() -> ExitCode {
    match gce_auth::Credentials::new().blocking_token() {
        Ok(token) => {
            println!("{}", token.secret());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            if let Some(hint) = error.hint() {
                eprintln!("{hint}");
            }
            ExitCode::FAILURE
        }
    }
}
