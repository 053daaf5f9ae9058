//! An agent as a process, and callers that speak raw HTTP.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    process::{Child, Command, Stdio},
    time::Duration,
};

use gce_auth_emulator::Emulator;
use serde_json::Value;

use super::cleared;

/// An agent, which is killed at the end if it still runs.
pub(crate) struct Agent {
    pub(crate) child: Child,
    pub(crate) ready: Value,
}

impl Agent {
    /// Runs a script of the shell that has the agent's command line behind it.
    pub(crate) fn under(script: &str, source: &Emulator, arguments: &[&str]) -> Self {
        let mut command = Command::new("sh");
        for name in cleared() {
            command.env_remove(name);
        }
        let upstream = source.addr().to_string();
        let mut child = command
            .args(["-c", script, "sh", env!("CARGO_BIN_EXE_gce-auth"), "agent"])
            .args(["--upstream", &upstream, "--ready-json"])
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut ready = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut ready)
            .unwrap();
        let ready = serde_json::from_str(&ready).unwrap();
        Self { child, ready }
    }

    pub(crate) fn start(source: &Emulator, arguments: &[&str]) -> Self {
        Self::under(r#"exec "$@""#, source, arguments)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.ready["listen"][0].as_str().unwrap().parse().unwrap()
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Asks for a path, and reads the whole answer.
pub(crate) fn ask(address: SocketAddr, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: metadata\r\nMetadata-Flavor: Google\r\nConnection: close\r\n\r\n"
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// A token of the account `default`, or what kept it from coming.
pub(crate) fn token(address: SocketAddr) -> std::io::Result<String> {
    token_of(address, "default")
}

/// A token of an account, or what kept it from coming.
pub(crate) fn token_of(address: SocketAddr, account: &str) -> std::io::Result<String> {
    let path = format!("/computeMetadata/v1/instance/service-accounts/{account}/token");
    let answer = ask(address, &path)?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_default();
    if !head.starts_with("HTTP/1.1 200 ") {
        return Err(std::io::Error::other(head.to_owned()));
    }
    let body: Value = serde_json::from_str(body)?;
    Ok(body["access_token"].as_str().unwrap().to_owned())
}
