//! What holds for every command: it writes nothing to disk, does without `HOME`, takes a reader
//! that leaves, and ends in time.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test says with it what it expects")]
#![allow(
    clippy::disallowed_methods,
    reason = "how long the command took is what is tested"
)]

mod support;

use std::{
    fs,
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use gce_auth_emulator::{Emulator, Fault};
use support::{Ran, ask, emulator, gce_auth};

/// An emulator in which each call has something to find.
fn world() -> Emulator {
    let builder = Emulator::builder().set("instance/attributes/enable-guest-attributes", "TRUE");
    builder.start().unwrap()
}

/// A call of each command that prints, against this emulator.
fn calls(emulator: &Emulator) -> Vec<Vec<String>> {
    let url = emulator.url();
    let token = ["id-token", "--audience", "https://a.example"];
    let token = ask(emulator.addr(), &token).value();
    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
        .join(format!("token-{}", emulator.addr().port()));
    fs::write(&file, token).unwrap();
    let file = file.to_str().unwrap();
    [
        "token",
        "token --format json",
        "id-token --audience https://a.example",
        "headers",
        &format!("sign --iam-endpoint {url} {file}"),
        &format!("sign-url gs://bucket/object --iam-endpoint {url}"),
        &format!("verify --audience https://a.example --jwks-url {url}/oauth2/v3/certs --leeway 10 {file}"),
        "get instance/zone",
        "get --recursive /",
        "watch instance/zone --once",
        "guest set ns/key value",
        "guest get ns/key",
        "info",
        "detect",
        "wait",
        "doctor",
        "exec -- true",
        "exec --journal -- true",
        "demo",
        "completions bash",
        "man",
        "--help",
        "token --help",
        "--version",
    ]
    .into_iter()
    .map(|call| call.split(' ').map(str::to_owned).collect())
    .collect()
}

fn call(arguments: &[String], emulator: &Emulator) -> Command {
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let host = emulator.addr().to_string();
    let mut command = gce_auth(&arguments);
    command
        .env("GCE_METADATA_HOST", &host)
        .env("GCE_METADATA_IP", &host);
    command
}

#[test]
fn nothing_is_written_to_disk() {
    let emulator = world();
    let place = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("untouched");
    let _ = fs::remove_dir_all(&place);
    fs::create_dir_all(&place).unwrap();
    for arguments in calls(&emulator) {
        let output = call(&arguments, &emulator)
            .current_dir(&place)
            .env("HOME", &place)
            .env("TMPDIR", &place)
            .env("XDG_CACHE_HOME", &place)
            .env("XDG_CONFIG_HOME", &place)
            .output();
        let ran = Ran::new(output.unwrap());
        assert_eq!(ran.code, Some(0), "{arguments:?} {ran:?}");
        let left: Vec<_> = fs::read_dir(&place).unwrap().collect();
        assert!(left.is_empty(), "{arguments:?} left {left:?}");
    }
}

#[test]
fn an_environment_of_nothing_is_enough() {
    let emulator = world();
    for arguments in calls(&emulator) {
        let output = call(&arguments, &emulator)
            .env_clear()
            .env("GCE_METADATA_HOST", emulator.addr().to_string())
            // What `exec` runs has to be found.
            .env("PATH", "/usr/bin:/bin")
            .output();
        let ran = Ran::new(output.unwrap());
        assert_eq!(ran.code, Some(0), "{arguments:?} {ran:?}");
    }
}

#[test]
fn a_reader_that_left_is_no_failure_and_no_panic() {
    let emulator = world();
    for arguments in calls(&emulator) {
        let gone = || {
            let (reader, writer) = std::io::pipe().unwrap();
            drop(reader);
            Stdio::from(writer)
        };
        let output = call(&arguments, &emulator).stdout(gone()).output();
        let ran = Ran::new(output.unwrap());
        assert_eq!(ran.code, Some(0), "{arguments:?} {ran:?}");
        assert!(!ran.stderr.contains("panic"), "{ran:?}");
        let status = call(&[arguments, vec!["--verbose".into()]].concat(), &emulator)
            .stdout(gone())
            .stderr(gone())
            .status();
        assert_eq!(status.unwrap().code(), Some(0));
    }
}

#[test]
fn standard_output_holds_values_alone() {
    let emulator = world();
    for arguments in calls(&emulator) {
        let values = ["token", "id-token", "headers", "sign", "sign-url"];
        let is_help = arguments.iter().any(|argument| argument == "--help");
        if is_help || !values.contains(&arguments[0].as_str()) {
            continue;
        }
        let quiet = Ran::new(call(&arguments, &emulator).output().unwrap()).value();
        let arguments = [arguments, vec!["--verbose".into()]].concat();
        let loud = Ran::new(call(&arguments, &emulator).output().unwrap());
        assert_eq!(loud.stdout.lines().count(), quiet.lines().count());
        assert!(loud.stderr.starts_with("gce-auth: "), "{loud:?}");
        for word in quiet.split_whitespace().filter(|word| word.len() > 40) {
            assert!(!loud.stderr.contains(word), "{arguments:?} {loud:?}");
        }
    }
}

#[test]
fn a_timeout_is_for_the_whole_command() {
    // Each answer alone is in time.
    let emulator = emulator();
    emulator.fail_next("/", usize::MAX, Fault::Delay(Duration::from_millis(700)));
    let start = Instant::now();
    let line = ask(emulator.addr(), &["info", "--timeout", "1"]).failure(4);
    assert!(line.contains("within 1.0 s"), "{line}");
    assert!(start.elapsed() < Duration::from_secs(8));
}

#[test]
fn a_timeout_is_for_what_is_read_too() {
    let emulator = emulator();
    for arguments in [
        &["sign", "--iam-endpoint", "http://127.0.0.1:1"][..],
        &["guest", "set", "a/b"],
        &["verify", "--audience", "a"],
    ] {
        // A writer that writes nothing, and ends.
        let mut silent = Command::new("sleep")
            .arg("20")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = gce_auth(&[arguments, &["--timeout", "0.2"]].concat())
            .env("GCE_METADATA_HOST", emulator.addr().to_string())
            .stdin(silent.stdout.take().unwrap())
            .output();
        let still_silent = silent.try_wait().unwrap().is_none();
        silent.kill().unwrap();
        silent.wait().unwrap();
        let line = Ran::new(output.unwrap()).failure(4);
        assert!(still_silent && line.contains("within 200 ms"), "{line}");
    }
}

#[test]
fn an_emulator_leaves_nothing_behind() {
    let place = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("emulated");
    let _ = fs::remove_dir_all(&place);
    fs::create_dir_all(&place).unwrap();
    let mut child = gce_auth(&["emulate", "--profile", "shielded"])
        .current_dir(&place)
        .env("TMPDIR", &place)
        .env("HOME", &place)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    stdout.read_line(&mut line).unwrap();
    let address = line
        .trim()
        .strip_prefix("export GCE_METADATA_HOST=")
        .unwrap();
    ask(address.parse().unwrap(), &["token"]).value();
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(fs::read_dir(&place).unwrap().count(), 0);
}
