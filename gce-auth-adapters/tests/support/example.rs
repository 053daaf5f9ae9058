//! The programs of `examples/`, as a user runs them.

use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use super::exchange;

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

/// An example that serves until it is dropped.
pub struct Service {
    process: Child,
    address: SocketAddr,
}

impl Service {
    /// Starts it, and waits until it tells its address.
    pub fn start(command: &mut Command) -> Self {
        let mut process = command.stdout(Stdio::piped()).spawn().unwrap();
        let stdout = BufReader::new(process.stdout.take().unwrap());
        let mut lines = stdout.lines().map(Result::unwrap);
        let address = lines.find_map(|line| {
            let address = line.strip_prefix("listening on http://")?;
            Some(address.parse().unwrap())
        });
        let address = address.expect("it listens");
        Self { process, address }
    }

    /// Sends `GET` with these headers; returns the answer as it came.
    pub fn get(&self, path: &str, headers: &str) -> String {
        let request =
            format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n{headers}\r\n");
        exchange(self.address, request.as_bytes())
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
