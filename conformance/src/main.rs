//! Drivers for the judges: each subcommand speaks one judge's protocol.

#![forbid(unsafe_code)]

use std::env;
use std::io::{self, Write as _};
use std::process::ExitCode;

/// What a judge sees when it asks for a driver that is not there.
const USAGE: &str = "usage: conformance-driver SUBCOMMAND

No subcommand exists yet.
";

/// The exit code of a command line that makes no sense.
const BAD_USAGE: u8 = 2;

fn main() -> ExitCode {
    match env::args().nth(1).as_deref() {
        Some("help" | "--help" | "-h") => {
            let _ = io::stdout().write_all(USAGE.as_bytes());
            ExitCode::SUCCESS
        }
        _ => {
            let _ = io::stderr().write_all(USAGE.as_bytes());
            ExitCode::from(BAD_USAGE)
        }
    }
}
