//! On a terminal there are colours, unless the user does not want them.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test says with it what it expects")]

mod support;

use std::{
    fs::{File, OpenOptions},
    io::{BufRead, BufReader, Read, Write},
    os::fd::OwnedFd,
    process::{Child, Command, Stdio},
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

/// Runs the command as the leader of a session on this terminal.
fn lead(name: &str, arguments: &[&str]) -> Child {
    let theirs = || {
        let mut options = OpenOptions::new();
        Stdio::from(options.read(true).write(true).open(name).unwrap())
    };
    let command = gce_auth(arguments);
    let mut leader = Command::new("setsid");
    leader.arg("--ctty").arg(command.get_program());
    leader.args(command.get_args());
    leader.stdin(theirs()).stdout(theirs()).stderr(theirs());
    leader.spawn().unwrap()
}

#[test]
fn a_program_does_not_outlive_its_terminal() {
    // As under `ssh -t host gce-auth exec …` the command leads the session, and it alone is told of
    // the end.
    let (ours, name) = terminal();
    let script = ["sh", "-c", "echo $$; exec sleep 20"];
    let mut child = lead(&name, &[&["exec", "--"], &script[..]].concat());
    let mut ours = BufReader::new(File::from(ours));
    let mut line = String::new();
    ours.read_line(&mut line).unwrap();
    assert!(line.trim().parse::<u32>().is_ok(), "{line}");
    drop(ours);
    assert_eq!(child.wait().unwrap().code(), Some(128 + 1));
}

/// The lines of a terminal up to the one that ends with this; those before it.
fn until(lines: &mut impl BufRead, end: &str) -> Vec<String> {
    let mut seen = Vec::new();
    loop {
        let mut line = String::new();
        let length = lines.read_line(&mut line).unwrap_or(0);
        assert_ne!(length, 0, "no {end} after {seen:?}");
        if line.trim_end().ends_with(end) {
            return seen;
        }
        seen.push(line.trim_end().to_owned());
    }
}

#[test]
fn a_shell_in_namespaces_has_its_terminal_and_its_jobs() {
    let mut tried = gce_auth(&["exec", "--isolated", "--", "bash", "-c", "exit 3"]);
    match tried.output().unwrap().status.code() {
        Some(3) => {}
        Some(code @ (125 | 127)) => {
            println!("SKIPPED: no namespaces, or no bash ({code})");
            return;
        }
        other => panic!("{other:?}"),
    }
    let (ours, name) = terminal();
    let shell = ["bash", "--norc", "--noediting", "-i"];
    let mut child = lead(&name, &[&["exec", "--isolated", "--"], &shell[..]].concat());
    let mut keys = File::from(ours.try_clone().unwrap());
    let mut lines = BufReader::new(File::from(ours));
    let mut press = |text: &str| keys.write_all(text.as_bytes()).unwrap();
    press("PS1=; stty -echo rows 33 cols 101; stty size; echo end-1\n");
    // What is typed is seen until its echo is off, and once more if it comes before the shell
    // reads.
    until(&mut lines, "33 101");
    until(&mut lines, "end-1");
    press("sh -c 'trap \"echo caught\" INT; echo running; sleep 30 & wait; kill $!'\n");
    until(&mut lines, "running");
    press("\x03");
    until(&mut lines, "caught");
    press("echo end-2\n");
    // Once, though the command outside is in the terminal's group, too.
    let more = until(&mut lines, "end-2");
    assert!(!more.iter().any(|line| line.contains("caught")), "{more:?}");
    press("sh -c 'echo sleeping; exec sleep 30'\n");
    until(&mut lines, "sleeping");
    press("\x1a");
    press("jobs; echo end-3\n");
    let jobs = until(&mut lines, "end-3");
    assert!(jobs.iter().any(|line| line.contains("Stopped")), "{jobs:?}");
    press("kill -CONT %1; kill -INT %1; wait %1; echo was $?; echo end-4\n");
    let ended = until(&mut lines, "end-4");
    assert!(ended.iter().any(|line| line == "was 130"), "{ended:?}");
    press("exit 7\n");
    assert_eq!(child.wait().unwrap().code(), Some(7));
}
