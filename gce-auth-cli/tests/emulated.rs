//! The emulator's guard and its credentials files, as the command offers them.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test says with it what it expects")]

mod support;

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Child, Stdio},
};

use serde_json::Value;
use support::{Ran, gce_auth};

/// What `gce-auth emulate` serves, until the test ends.
struct Served {
    child: Child,
    ready: Value,
}

impl Served {
    #[track_caller]
    fn new(arguments: &[&str]) -> Self {
        let mut child = gce_auth(&[&["emulate", "--ready-json"], arguments].concat())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        stdout.read_line(&mut line).unwrap();
        let ready = serde_json::from_str(&line).unwrap();
        Self { child, ready }
    }

    /// The status of an answer to a request for a host.
    fn status(&self, host: &str) -> u16 {
        let mut stream = TcpStream::connect(self.ready["address"].as_str().unwrap()).unwrap();
        write!(
            stream,
            "GET /computeMetadata/v1/instance/id HTTP/1.1\r\nHost: {host}\r\n\
             Metadata-Flavor: Google\r\nConnection: close\r\n\r\n"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer.split(' ').nth(1).unwrap().parse().unwrap()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn only_hosts_that_are_named_are_answered() {
    let closed = Served::new(&[]);
    assert_eq!(closed.status("rebound.example.com"), 403);
    let open = Served::new(&["--allow-host", "a.example,*.example.com"]);
    for host in ["rebound.example.com", "a.example"] {
        assert_eq!(open.status(host), 200, "{host}");
    }
    assert_eq!(open.status("b.example"), 403);
}

#[test]
fn control_requests_of_other_machines_need_a_token_that_is_printed() {
    let closed = Served::new(&["--allow-from", "10.0.0.0/8"]);
    assert_eq!(closed.ready["control_token"], Value::Null);
    let open = Served::new(&["--allow-from", "10.0.0.0/8", "--control-from", "10.0.0.0/8"]);
    assert!(open.ready["control_token"].as_str().unwrap().len() >= 20);

    let refused = gce_auth(&["emulate", "--control-from", "10.0.0.0/8"]).output();
    assert_eq!(Ran::new(refused.unwrap()).code, Some(2));
}

#[test]
fn a_credentials_file_leads_to_the_emulator() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("written-adc");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir(&folder).unwrap();
    let name = folder.to_str().unwrap();
    let served = Served::new(&["--write-adc", name, "--adc-kind", "service_account"]);
    let file = folder.join("application_default_credentials.json");
    assert_eq!(served.ready["credentials_file"], file.to_str().unwrap());
    assert_eq!(
        fs::metadata(&file).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let key: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    assert_eq!(key["type"], "service_account");
    let url = served.ready["url"].as_str().unwrap();
    assert!(key["token_uri"].as_str().unwrap().starts_with(url), "{key}");

    let missing = gce_auth(&["emulate", "--write-adc", "no-such-directory"]).output();
    let line = Ran::new(missing.unwrap()).failure(1);
    assert!(line.contains("no-such-directory"), "{line}");
}

#[test]
fn the_hosts_in_a_credentials_file_are_trusted_by_the_program() {
    let script = "echo \"$GCE_METADATA_HOST $GCE_AUTH_TRUST_HOSTS\"";
    let all = ["exec", "--adc", "service_account", "--", "sh", "-c", script];
    let printed = Ran::new(gce_auth(&all).output().unwrap()).value();
    let (server, trusted) = printed.trim().split_once(' ').unwrap();
    assert_eq!(server, trusted);
    let real = ["exec", "--real", "--adc", "service_account", "--", "true"];
    assert_eq!(Ran::new(gce_auth(&real).output().unwrap()).code, Some(2));
}
