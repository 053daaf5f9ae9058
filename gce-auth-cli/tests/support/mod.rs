//! The real binary, in an environment that leads nowhere by itself.
#![allow(dead_code, reason = "each test file uses a part")]
#![allow(clippy::unwrap_used, reason = "a test says with it what it expects")]

#[cfg(target_os = "linux")]
pub(crate) mod agent;
#[cfg(unix)]
pub(crate) mod emulated;
#[cfg(unix)]
pub(crate) mod folder;
pub(crate) mod redact;

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener},
    process::{Command, Output, Stdio},
    thread,
};

use gce_auth::docs::environment::VARIABLES;
use gce_auth_emulator::Emulator;

/// Variables that the command reads beside those of the library, and those of proxies.
const OF_THE_COMMAND: [&str; 12] = [
    "ALL_PROXY",
    "CLICOLOR_FORCE",
    "GCE_AUTH_HELPER_FLAGS",
    "GCE_AUTH_HELPER_PASSED_ON",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "KUBERNETES_EXEC_INFO",
    "NO_COLOR",
    "all_proxy",
    "http_proxy",
    "https_proxy",
    "COLUMNS",
];

/// Every variable that the library or the command reads.
pub(crate) fn cleared() -> impl Iterator<Item = &'static str> {
    VARIABLES.iter().copied().chain(OF_THE_COMMAND)
}

/// `gce-auth`, about to run with these arguments.
pub(crate) fn gce_auth(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gce-auth"));
    for name in cleared() {
        command.env_remove(name);
    }
    command.args(arguments).stdin(Stdio::null());
    command
}

/// What a run brought.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    pub(crate) fn new(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// The value, where it is all that was said.
    #[track_caller]
    pub(crate) fn value(self) -> String {
        assert_eq!(self.code, Some(0), "{self:?}");
        assert_eq!(self.stderr, "");
        self.stdout
    }

    /// The one line that says what went wrong, where nothing else was said.
    #[track_caller]
    pub(crate) fn failure(self, code: i32) -> String {
        assert_eq!(self.code, Some(code), "{self:?}");
        assert_eq!(self.stdout, "");
        let line = self.stderr.strip_suffix('\n').unwrap().to_owned();
        assert!(!line.contains('\n'), "{line}");
        line.strip_prefix("gce-auth: ").unwrap().to_owned()
    }
}

/// Runs to the end.
#[track_caller]
pub(crate) fn run(arguments: &[&str]) -> Ran {
    Ran::new(gce_auth(arguments).output().unwrap())
}

/// Runs to the end, with this on standard input.
#[track_caller]
pub(crate) fn feed(arguments: &[&str], server: &str, input: &[u8]) -> Ran {
    let mut child = gce_auth(arguments)
        .env("GCE_METADATA_HOST", server)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // The command may refuse its arguments before it reads.
    let _ = child.stdin.take().unwrap().write_all(input);
    Ran::new(child.wait_with_output().unwrap())
}

/// Runs to the end, with a metadata server to ask.
#[track_caller]
pub(crate) fn ask(server: SocketAddr, arguments: &[&str]) -> Ran {
    let mut command = gce_auth(arguments);
    command.env("GCE_METADATA_HOST", server.to_string());
    Ran::new(command.output().unwrap())
}

/// An emulator with its defaults.
pub(crate) fn emulator() -> Emulator {
    Emulator::builder().start().unwrap()
}

/// An address that refuses connections: no program is given this port.
pub(crate) fn closed_port() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 1))
}

/// A server that gives every connection this answer; it ends with the test.
pub(crate) fn answering(answer: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut asked = Vec::new();
            let mut buffer = [0; 1024];
            while !asked.ends_with(b"\r\n\r\n") {
                match stream.read(&mut buffer) {
                    Ok(0) | Err(_) => break,
                    Ok(read) => asked.extend_from_slice(&buffer[..read]),
                }
            }
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    address
}

/// A server that takes connections and never answers.
pub(crate) fn silent() -> (SocketAddr, TcpListener) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    (listener.local_addr().unwrap(), listener)
}
