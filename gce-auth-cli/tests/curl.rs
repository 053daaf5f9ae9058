//! The forms that are made for curl, with curl.

#![allow(clippy::unwrap_used, reason = "a test says with it what it expects")]
#![allow(
    clippy::disallowed_methods,
    reason = "the one variable says whether curl has to be there"
)]

mod support;

use std::{
    io::Write,
    process::{Command, Stdio},
};

use support::{ask, emulator};

/// What curl prints, with `input` on its standard input; `None` without curl.
fn curl(arguments: &[&str], input: &str) -> Option<String> {
    let started = Command::new("curl")
        .args(["--silent", "--show-error", "--noproxy", "*"])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let Ok(mut child) = started else {
        let required = std::env::var("GCE_AUTH_INTEROP").is_ok_and(|value| value == "required");
        assert!(!required, "there is no curl");
        return None;
    };
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    Some(String::from_utf8(output.stdout).unwrap())
}

#[test]
fn curl_sends_the_token_that_it_is_given() {
    let emulator = emulator();
    let email = "instance/service-accounts/default/email";
    let email = ask(emulator.addr(), &["get", email]).value();
    let url = format!(
        "{}/v1/projects/-/serviceAccounts/{}:signBlob",
        emulator.url(),
        email.trim()
    );
    let body = ["--json", r#"{"payload": "aGVsbG8="}"#, url.as_str()];
    for (format, option) in [("curl", ["-K", "-"]), ("header", ["-H", "@-"])] {
        let input = ask(emulator.addr(), &["token", "--format", format]).value();
        let Some(answer) = curl(&[&option[..], &body[..]].concat(), &input) else {
            println!("SKIPPED: there is no curl");
            return;
        };
        assert!(answer.contains("signedBlob"), "{format}: {answer}");
        let refused = curl(&[&option[..], &body[..]].concat(), "").unwrap();
        assert!(!refused.contains("signedBlob"), "{refused}");
    }
    let input = ask(emulator.addr(), &["headers", "--format", "curl"]).value();
    let answer = curl(&[&["-K", "-"], &body[..]].concat(), &input).unwrap();
    assert!(answer.contains("signedBlob"), "{answer}");
}
