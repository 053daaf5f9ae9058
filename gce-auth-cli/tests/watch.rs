//! Watching values, and guest attributes.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test says with it what it expects")]

mod support;

use std::{
    io::{BufRead, BufReader, Read},
    os::unix::process::ExitStatusExt,
    process::{Child, ChildStdout, Stdio},
    thread,
};

use gce_auth_emulator::Emulator;
use serde_json::Value;
use support::{ask, closed_port, emulator, feed, gce_auth};

const PATH: &str = "instance/attributes/color";

fn colored(color: &str) -> Emulator {
    let builder = Emulator::builder().set(PATH, color);
    builder.start().unwrap()
}

/// A watch that runs, and ends with its test.
struct Watching {
    child: Child,
    stdout: Option<BufReader<ChildStdout>>,
}

impl Watching {
    fn new(emulator: &Emulator, arguments: &[&str]) -> Self {
        let mut child = gce_auth(&[&["watch"], arguments].concat())
            .env("GCE_METADATA_HOST", emulator.addr().to_string())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = child.stdout.take().map(BufReader::new);
        Self { child, stdout }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        let stdout = self.stdout.as_mut().unwrap();
        stdout.read_line(&mut line).unwrap();
        line
    }

    /// The end: code, signal, the rest of what was printed, and what was said.
    fn end(mut self) -> (Option<i32>, Option<i32>, String, String) {
        let (mut rest, mut said) = (String::new(), String::new());
        if let Some(mut stdout) = self.stdout.take() {
            stdout.read_to_string(&mut rest).unwrap();
        }
        let mut stderr = self.child.stderr.take().unwrap();
        stderr.read_to_string(&mut said).unwrap();
        let status = self.child.wait().unwrap();
        (status.code(), status.signal(), rest, said)
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns when a client waits for a change.
fn until_waited_for(emulator: &Emulator) {
    while emulator.waiting() == 0 {
        thread::yield_now();
    }
}

#[test]
fn each_change_is_a_line() {
    let emulator = colored("red");
    let mut watching = Watching::new(&emulator, &[PATH, "--count", "3"]);
    assert_eq!(watching.line(), "red\n");
    until_waited_for(&emulator);
    emulator.set(PATH, "green\nand \\").unwrap();
    assert_eq!(watching.line(), "green\\nand \\\\\n");
    until_waited_for(&emulator);
    emulator.set(PATH, "blue").unwrap();
    assert_eq!(watching.line(), "blue\n");
    let end = watching.end();
    assert_eq!(end, (Some(0), None, String::new(), String::new()));
}

#[test]
fn a_watch_can_begin_where_another_ended() {
    let emulator = colored("red");
    let once = ["watch", PATH, "--once", "--format", "json"];
    let seen: Value = serde_json::from_str(&ask(emulator.addr(), &once).value()).unwrap();
    assert_eq!(seen["value"], "red");
    let etag = seen["etag"].as_str().unwrap();
    let mut watching = Watching::new(&emulator, &[PATH, "--once", "--json", "--last-etag", etag]);
    until_waited_for(&emulator);
    emulator.set(PATH, "green").unwrap();
    let next: Value = serde_json::from_str(&watching.line()).unwrap();
    assert_eq!(next["value"], "green");
    assert_ne!(next["etag"], seen["etag"]);
    assert_eq!(watching.end().0, Some(0));
    // What changed meanwhile is told at once.
    let late = [&once[..], &["--last-etag", etag]].concat();
    assert!(ask(emulator.addr(), &late).value().contains("green"));
}

#[test]
fn a_directory_is_watched_with_all_below_it() {
    let emulator = colored("red");
    let arguments = [
        "instance/attributes/",
        "--recursive",
        "--json",
        "--count",
        "2",
    ];
    let mut watching = Watching::new(&emulator, &arguments);
    let first: Value = serde_json::from_str(&watching.line()).unwrap();
    assert_eq!(first["value"]["color"], "red");
    until_waited_for(&emulator);
    emulator.set("instance/attributes/size", "12").unwrap();
    let second: Value = serde_json::from_str(&watching.line()).unwrap();
    assert_eq!(second["value"]["size"], "12");
}

#[test]
fn a_value_that_goes_ends_the_watch_with_6() {
    let emulator = colored("red");
    let mut watching = Watching::new(&emulator, &[PATH]);
    watching.line();
    until_waited_for(&emulator);
    emulator.remove(PATH).unwrap();
    let (code, _, rest, said) = watching.end();
    assert_eq!((code, rest.as_str()), (Some(6), ""));
    assert!(
        said.contains(PATH) && said.contains("--missing-ok"),
        "{said}"
    );
    let line = ask(emulator.addr(), &["watch", "instance/nothing"]).failure(6);
    assert!(line.contains("instance/nothing"), "{line}");
}

#[test]
fn a_value_may_be_missing_where_that_is_allowed() {
    let emulator = colored("red");
    let arguments = [PATH, "--missing-ok", "--json", "--count", "2"];
    let mut watching = Watching::new(&emulator, &arguments);
    watching.line();
    until_waited_for(&emulator);
    emulator.remove(PATH).unwrap();
    let gone: Value = serde_json::from_str(&watching.line()).unwrap();
    assert_eq!(gone["value"], Value::Null);
    assert_eq!(watching.end().0, Some(0));
}

#[test]
fn a_watch_ends_in_time() {
    let emulator = colored("red");
    let ran = ask(emulator.addr(), &["watch", PATH, "--timeout", "0.3"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(4), "red\n"));
    assert!(ran.stderr.contains("no change within"), "{ran:?}");
    ask(closed_port(), &["watch", PATH, "--timeout", "0.3"]).failure(4);
}

#[test]
fn an_interrupt_ends_it_without_a_word() {
    let emulator = colored("red");
    let mut watching = Watching::new(&emulator, &[PATH]);
    watching.line();
    until_waited_for(&emulator);
    let process = rustix::process::Pid::from_child(&watching.child);
    rustix::process::kill_process(process, rustix::process::Signal::INT).unwrap();
    let end = watching.end();
    assert_eq!(end, (None, Some(2), String::new(), String::new()));
}

#[test]
fn it_ends_when_nobody_reads_any_more() {
    let emulator = colored("red");
    let mut watching = Watching::new(&emulator, &[PATH]);
    watching.line();
    until_waited_for(&emulator);
    drop(watching.stdout.take());
    let (code, _, _, said) = watching.end();
    assert_eq!((code, said.as_str()), (Some(0), ""));
}

#[test]
fn guest_attributes_are_set_got_and_deleted() {
    let emulator = Emulator::builder()
        .set("instance/attributes/enable-guest-attributes", "TRUE")
        .start()
        .unwrap();
    let guest = |arguments: &[&str]| ask(emulator.addr(), &[&["guest"], arguments].concat());
    assert_eq!(guest(&["set", "ns/state", "ready"]).value(), "");
    assert_eq!(guest(&["get", "ns/state"]).value(), "ready\n");
    assert_eq!(guest(&["get", "ns/state", "--json"]).value(), "\"ready\"\n");
    let host = emulator.addr().to_string();
    feed(&["guest", "set", "ns/lines"], &host, b"a\nb").value();
    assert_eq!(guest(&["get", "ns/lines"]).value(), "a\nb\n");
    let mut keys: Vec<_> = guest(&["get", "ns"])
        .value()
        .lines()
        .map(str::to_owned)
        .collect();
    keys.sort();
    assert_eq!(keys, ["lines", "state"]);
    guest(&["delete", "ns/state"]).value();
    let line = guest(&["get", "ns/state"]).failure(6);
    assert!(line.contains("ns/state"), "{line}");
    guest(&["delete", "ns/state"]).failure(6);
    guest(&["delete", "ns"]).value();
    assert_eq!(guest(&["get", "ns"]).value(), "");
    guest(&["set", "ns", "value"]).failure(2);
    assert_eq!(guest(&[]).code, Some(2));
}

#[test]
fn guest_attributes_that_are_off_are_5_and_told_how_to_switch_on() {
    let emulator = emulator();
    let line = ask(emulator.addr(), &["guest", "set", "ns/key", "value"]).failure(5);
    assert!(line.contains("enable-guest-attributes"), "{line}");
}
