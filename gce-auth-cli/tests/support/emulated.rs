//! `gce-auth emulate` as a process.

use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    process::{Child, Command, Stdio},
};

use serde_json::Value;

use super::cleared;

/// What `gce-auth emulate` serves, until the test ends.
pub(crate) struct Emulated {
    pub(crate) child: Child,
    pub(crate) address: SocketAddr,
}

impl Emulated {
    #[track_caller]
    pub(crate) fn new(arguments: &[&str]) -> Self {
        Self::under(r#"exec "$@""#, arguments)
    }

    /// Runs a script of the shell that has the emulator's command line behind it.
    #[track_caller]
    pub(crate) fn under(script: &str, arguments: &[&str]) -> Self {
        let mut command = Command::new("sh");
        for name in cleared() {
            command.env_remove(name);
        }
        let mut child = command
            .args([
                "-c",
                script,
                "sh",
                env!("CARGO_BIN_EXE_gce-auth"),
                "emulate",
            ])
            .arg("--ready-json")
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        stdout.read_line(&mut line).unwrap();
        let ready: Value = serde_json::from_str(&line).unwrap();
        let address = ready["address"].as_str().unwrap().parse().unwrap();
        Self { child, address }
    }
}

impl Drop for Emulated {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
