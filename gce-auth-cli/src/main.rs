//! The command `gce-auth`: tokens, ID tokens and metadata for scripts, and an emulator of the
//! metadata server.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    gce_auth_cli::run()
}
