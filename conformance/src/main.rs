//! Drivers for the judges: each subcommand speaks one judge's protocol.

#![forbid(unsafe_code)]

mod faults;
mod oracle;

use std::{
    env,
    io::{self, Write as _},
    process::ExitCode,
};

/// What a judge sees when it asks for a driver that is not there.
const USAGE: &str = "usage: conformance-driver SUBCOMMAND

  faults [--file FILE | --narrowed FILE URL-FILE] OPERATION
                      a library under a server that misbehaves: the metadata server, or one that
                      a credentials file names; OPERATION is one of access_token,
                      id_token AUDIENCE, info, universe_domain, session
  oracle              a scenario on standard input, run with google-auth's settings
";

/// The exit code of a command line that makes no sense.
const BAD_USAGE: u8 = 2;

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    match args.first().map(String::as_str) {
        Some("faults") => match faults::run(&args[1..]) {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) => bad_usage(),
            Err(error) => {
                let _ = writeln!(io::stderr(), "conformance-driver faults: {error}");
                ExitCode::FAILURE
            }
        },
        Some("oracle") => match oracle::run() {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                let _ = writeln!(io::stderr(), "conformance-driver oracle: {error}");
                ExitCode::FAILURE
            }
        },
        Some("help" | "--help" | "-h") => {
            let _ = io::stdout().write_all(USAGE.as_bytes());
            ExitCode::SUCCESS
        }
        _ => bad_usage(),
    }
}

fn bad_usage() -> ExitCode {
    let _ = io::stderr().write_all(USAGE.as_bytes());
    ExitCode::from(BAD_USAGE)
}
