//! Events of the machine, by the command: played in an emulator that runs, and the end of a
//! program.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test says with it what it expects")]

mod support;

use std::{os::unix::process::ExitStatusExt as _, process::Stdio, time::Duration};

use gce_auth_emulator::EventState;
use serde_json::Value;
use support::{Ran, ask, closed_port, emulator, gce_auth, run};

#[test]
fn events_are_played_listed_and_cancelled() {
    let emulator = emulator();
    let event = |arguments: &[&str]| {
        ask(
            emulator.addr(),
            &[&["emulate", "event"], arguments].concat(),
        )
    };
    let get = |path: &str| ask(emulator.addr(), &["get", path]).value();
    assert_eq!(event(&["preempt"]).value(), "1\n");
    assert_eq!(get("instance/preempted"), "TRUE\n");
    let later = [
        "maintenance",
        "action=TERMINATE",
        "notice=2m",
        "--in",
        "1h",
        "--repeat",
        "2",
    ];
    assert_eq!(
        event(&[&later[..], &["--client", "node-a"]].concat()).value(),
        "2\n"
    );
    let listed: Value = serde_json::from_str(&event(&["list"]).value()).unwrap();
    assert_eq!(listed[0]["state"], "playing");
    assert_eq!(listed[1]["event"]["noticeSeconds"], 120);
    assert_eq!(
        (&listed[1]["repeat"], &listed[1]["client"]),
        (&2.into(), &"node-a".into())
    );
    emulator.advance(Duration::from_secs(3600));
    assert_eq!(emulator.machine_events()[1].state, EventState::Playing);
    assert_eq!(event(&["cancel", "1"]).value(), "");
    assert_eq!(get("instance/preempted"), "FALSE\n");
    assert_eq!(event(&["cancel", "1"]).failure(6), "there is no such event");
    assert_eq!(event(&["cancel", "all"]).value(), "");
    assert!(emulator.machine_events().is_empty());
    assert_eq!(event(&["set-attributes", "a=1", "b=2"]).value(), "3\n");
    assert_eq!(event(&["set-attributes", "b"]).value(), "4\n");
    assert_eq!(get("instance/attributes/"), "a\n");
    assert_eq!(
        event(&["shutdown", "--at", "2100-01-01T00:00:00Z"]).value(),
        "5\n"
    );
}

#[test]
fn what_cannot_be_played_is_said_in_one_line() {
    let emulator = emulator();
    let event = |arguments: &[&str]| {
        ask(
            emulator.addr(),
            &[&["emulate", "event"], arguments].concat(),
        )
    };
    for (arguments, part) in [
        (&["preempt", "notice=soon"][..], "soon"),
        (&["preempt", "delay=1s"], "its parameters are notice"),
        (&["preempt", "--at", "tomorrow"], "RFC 3339"),
        (&["preempt", "--client", "10.0.0.1/8"], "10.0.0.0/8"),
        (&["attach-disk", "--repeat", "2"], "time in between"),
    ] {
        let why = event(arguments).failure(2);
        assert!(why.contains(part), "{why}");
    }
    for arguments in [
        &[][..],
        &["preempt", "--in", "1s", "--at", "2100-01-01T00:00:00Z"],
        &["cancel", "x"],
    ] {
        assert_eq!(event(arguments).code, Some(2), "{arguments:?}");
    }
    // What an event is called is known without an emulator.
    let unknown = ask(closed_port(), &["emulate", "event", "premept"]);
    let why = &unknown.stderr;
    assert_eq!(unknown.code, Some(2), "{why}");
    assert!(
        why.contains("live-migration") && why.contains("a similar value exists: 'preempt'"),
        "{why}"
    );
    let why = ask(closed_port(), &["emulate", "event", "preempt", "x=1"]).failure(2);
    assert!(why.contains("no parameter `x`"), "{why}");
    let why = ask(closed_port(), &["emulate", "event", "list"]).failure(3);
    assert!(why.contains("no emulator answers at 127.0.0.1:1"), "{why}");
    let other = support::answering(
        "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
    );
    let why = ask(other, &["emulate", "event", "list"]).failure(1);
    assert!(why.contains("is no emulator"), "{why}");
}

/// How a shell script ends in which `"$0"` is the command, and which may wait for input for ever.
#[track_caller]
fn end(options: &[&str], script: &str) -> (Option<i32>, String) {
    let program = env!("CARGO_BIN_EXE_gce-auth");
    let arguments = [&["exec"], options, &["--", "sh", "-c", script, program]].concat();
    let mut child = gce_auth(&arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Open until the end, so that `read` waits.
    let input = child.stdin.take();
    let output = child.wait_with_output().unwrap();
    drop(input);
    assert_eq!(output.status.signal(), None);
    (
        output.status.code(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

#[test]
fn a_program_ends_as_its_machine_does() {
    // It does not handle SIGTERM.
    let (code, said) = end(&[], "\"$0\" emulate event preempt; read line");
    assert_eq!(code, Some(143), "{said}");
    assert!(
        said.contains("event 1 (preempt): instance/preempted becomes TRUE"),
        "{said}"
    );
    // It ends by itself before the deadline.
    let script =
        "trap 'kill $!; exit 7' TERM; tail -f /dev/null & \"$0\" emulate event preempt; wait";
    assert_eq!(end(&[], script).0, Some(7));
    // It has no time left, or ignores SIGTERM.
    let script = "trap '' TERM; \"$0\" emulate event preempt notice=1s; read line";
    assert_eq!(end(&[], script).0, Some(137));
    // A failing host gives no notice.
    let script = "trap 'exit 7' TERM; \"$0\" emulate event host-error; read line";
    assert_eq!(end(&[], script).0, Some(137));
    // Planned from the start on. A failing host ends the program whether or not its trap is set
    // yet.
    let event = "event = { kind = \"host-error\" }";
    let script = "trap 'exit 7' TERM; read line";
    assert_eq!(end(&["--event", event], script).0, Some(137));
    // What happens to other clients is no end.
    let script = "\"$0\" emulate event host-error --client nobody >&2; exit 5";
    assert_eq!(end(&[], script).0, Some(5));
}

#[test]
fn settings_come_from_variables_and_files() {
    let print = |arguments: &[&str], set: &[(&str, &str)]| {
        let mut command = gce_auth(&[&["emulate", "--print-config"], arguments].concat());
        Ran::new(command.envs(set.iter().copied()).output().unwrap())
    };
    let set = [
        ("GCE_AUTH_EMULATOR_PROJECT", "from-variable"),
        ("GCE_AUTH_EMULATOR_PROJECT_NUMBER", "42"),
        ("GCE_AUTH_EMULATOR_STRICT", "true"),
    ];
    let printed = print(&["--project-number", "43"], &set).value();
    for line in [
        "project = \"from-variable\"",
        "project-number = 43",
        "strict = true",
        "address = \"127.0.0.1\"",
    ] {
        assert!(printed.lines().any(|printed| printed == line), "{printed}");
    }
    let file = std::env::temp_dir().join(format!("gce-auth-settings-{}.toml", std::process::id()));
    std::fs::write(&file, &printed).unwrap();
    let file = file.to_str().unwrap();
    assert_eq!(print(&["--config", file], &[]).value(), printed);
    assert_eq!(
        print(&[], &[("GCE_AUTH_EMULATOR_CONFIG", file)]).value(),
        printed
    );
    let other = print(
        &["--config", file],
        &[("GCE_AUTH_EMULATOR_PROJECT", "other")],
    )
    .value();
    assert!(
        other.contains("project = \"other\"") && other.contains("project-number = 43"),
        "{other}"
    );
    std::fs::remove_file(file).unwrap();
    let why = print(&["--config", "/no/such/file"], &[]);
    assert_eq!(why.code, Some(2), "{why:?}");
    assert!(why.stderr.contains("/no/such/file"), "{why:?}");
    let help = run(&["emulate", "--help"]).value();
    for name in [
        "GCE_AUTH_EMULATOR_PORT",
        "GCE_AUTH_EMULATOR_PLAN",
        "GCE_AUTH_EMULATOR_TOKEN_COMMAND",
    ] {
        assert!(help.contains(name), "{help}");
    }
}
