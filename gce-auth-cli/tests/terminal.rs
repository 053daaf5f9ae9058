//! On a terminal there are colours, unless the user does not want them.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test says with it what it expects")]

mod support;

use std::{
    fs::{File, OpenOptions},
    io::{BufRead, BufReader, Read},
    os::fd::OwnedFd,
    process::Stdio,
    thread,
};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use support::gce_auth;

/// A terminal: its other end, and the name of it.
fn terminal() -> (OwnedFd, String) {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let ours: OwnedFd = openpt(flags).unwrap();
    grantpt(&ours).unwrap();
    unlockpt(&ours).unwrap();
    let name = ptsname(&ours, Vec::new()).unwrap().into_string().unwrap();
    (ours, name)
}

/// What a terminal receives when the command runs on it.
fn on_a_terminal(arguments: &[&str], variables: &[(&str, &str)]) -> String {
    let (ours, name) = terminal();
    let theirs = || OpenOptions::new().write(true).open(&name).unwrap();
    let mut command = gce_auth(arguments);
    command
        .env("TERM", "xterm")
        .envs(variables.iter().copied())
        .stdout(Stdio::from(theirs()))
        .stderr(Stdio::from(theirs()));
    let mut child = command.spawn().unwrap();
    drop(command);
    let reader = thread::spawn(move || {
        let mut seen = Vec::new();
        // The end of a terminal is an error, after all that was written to it.
        let _ = File::from(ours).read_to_end(&mut seen);
        String::from_utf8(seen).unwrap()
    });
    child.wait().unwrap();
    reader.join().unwrap()
}

#[test]
fn colours_are_for_terminals() {
    let closed = support::closed_port().to_string();
    let failing = ["token", "--timeout", "0.2", "--endpoint", &closed];
    for command in [&["demo"][..], &failing] {
        assert!(on_a_terminal(command, &[]).contains('\x1b'), "{command:?}");
        for refusal in [("NO_COLOR", "1"), ("TERM", "dumb")] {
            let seen = on_a_terminal(command, &[refusal]);
            assert!(!seen.contains('\x1b'), "{refusal:?}: {seen}");
            assert!(!seen.is_empty());
        }
        let seen = on_a_terminal(command, &[("NO_COLOR", "")]);
        assert!(seen.contains('\x1b'), "an empty NO_COLOR says nothing");
    }
}

#[test]
fn a_token_is_never_coloured() {
    let emulator = support::emulator();
    let endpoint = emulator.addr().to_string();
    let seen = on_a_terminal(&["token", "--endpoint", &endpoint], &[]);
    assert!(
        seen.starts_with("ya29.") && !seen.contains('\x1b'),
        "{seen}"
    );
}

#[test]
fn a_program_does_not_outlive_its_terminal() {
    // As under `ssh -t host gce-auth exec …` the command leads the session, and it alone is told of the end.
    let (ours, name) = terminal();
    let theirs = || {
        OpenOptions::new()
            .read(true)
            .write(true)
            .open(&name)
            .unwrap()
    };
    let script = ["sh", "-c", "echo $$; exec sleep 20"];
    let command = gce_auth(&[&["exec", "--"], &script[..]].concat());
    let mut leader = std::process::Command::new("setsid");
    leader.arg("--ctty").arg(command.get_program());
    leader.args(command.get_args());
    let mut child = leader
        .stdin(Stdio::from(theirs()))
        .stdout(Stdio::from(theirs()))
        .stderr(Stdio::from(theirs()))
        .spawn()
        .unwrap();
    drop(leader);
    let mut ours = BufReader::new(File::from(ours));
    let mut line = String::new();
    ours.read_line(&mut line).unwrap();
    assert!(line.trim().parse::<u32>().is_ok(), "{line}");
    drop(ours);
    assert_eq!(child.wait().unwrap().code(), Some(128 + 1));
}
