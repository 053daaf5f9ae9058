//! Credential helpers keep no token: the agent that `GCE_METADATA_HOST` names does.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test says with it what it expects")]

mod support;

use std::{
    io::{BufRead, BufReader},
    process::{Child, Stdio},
    thread,
};

use serde_json::Value;
use support::{emulator, feed, gce_auth};

/// A call of a helper: its arguments, and what the tool writes.
type Call = (&'static [&'static str], &'static str);

const CALLS: [Call; 5] = [
    (&["helper", "docker", "get"], "us-docker.pkg.dev"),
    (&["helper", "kubectl"], ""),
    (
        &["helper", "git", "get"],
        "protocol=https\nhost=source.developers.google.com\n\n",
    ),
    (
        &[
            "helper",
            "keyring",
            "get",
            "us-python.pkg.dev",
            "oauth2accesstoken",
        ],
        "",
    ),
    (
        &["helper", "bazel", "get"],
        r#"{"uri": "https://storage.googleapis.com/b/o"}"#,
    ),
];

/// An agent, which ends with the test.
struct Agent(Child, String);

impl Agent {
    fn start(upstream: &str) -> Self {
        let listen = ["--listen", "127.0.0.1:0", "--ready-json"];
        let mut child = gce_auth(&[&["agent", "--upstream", upstream][..], &listen].concat())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut ready = String::new();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        stdout.read_line(&mut ready).unwrap();
        let ready: Value = serde_json::from_str(&ready).unwrap();
        let address = ready["listen"][0].as_str().unwrap().to_owned();
        Self(child, address)
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_hundred_calls_cost_one_token() {
    let source = emulator();
    let tokens = || {
        let requests = source.requests();
        requests
            .iter()
            .filter(|request| request.path.ends_with("/token"))
            .count()
    };
    let agent = Agent::start(&source.addr().to_string());
    let run = |server: &str| {
        for (arguments, input) in CALLS {
            let said = feed(arguments, server, input.as_bytes()).value();
            assert!(said.contains("ya29."), "{arguments:?}: {said}");
        }
    };
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..5).for_each(|_| run(&agent.1)));
        }
    });
    assert_eq!(tokens(), 1);
    // Without the agent each call costs one.
    run(&source.addr().to_string());
    assert_eq!(tokens(), 1 + CALLS.len());
}
