//! The programs of `examples/`, as a user runs them.

use std::{
    net::SocketAddr,
    path::PathBuf,
    process::{Command, Stdio},
};

/// Returns an example that was built with the tests, with a metadata server to ask and no more
/// environment than that.
pub fn example(name: &str, server: SocketAddr) -> Command {
    let test = std::env::current_exe().unwrap();
    let built: PathBuf = test.ancestors().nth(2).unwrap().join("examples").join(name);
    assert!(
        built.exists(),
        "{name} is built by `cargo test` without --test"
    );
    let mut command = Command::new(built);
    command
        .env_clear()
        .env("GCE_METADATA_HOST", server.to_string())
        .stdin(Stdio::null());
    command
}

/// Runs it to its end, which must be a good one; returns what it printed.
pub fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
    String::from_utf8(output.stdout).unwrap()
}
