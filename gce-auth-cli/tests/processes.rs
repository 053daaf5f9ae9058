//! The command as a process: signals that are ignored, and the first process of a container.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test says with it what it expects")]
#![allow(clippy::print_stdout, reason = "a test says what it skips")]

mod support;

use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use support::{Ran, ask, cleared};

/// A shell in the environment of the command.
fn shell(script: &str) -> Command {
    let mut command = Command::new("sh");
    for name in cleared() {
        command.env_remove(name);
    }
    command
        .args(["-c", script, "sh", env!("CARGO_BIN_EXE_gce-auth")])
        .stdin(Stdio::null());
    command
}

#[test]
fn an_emulator_under_nohup_outlives_its_terminal() {
    let mut child = shell(r#"trap '' HUP; exec "$1" emulate --ready-json"#)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut ready = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut ready)
        .unwrap();
    let ready: Value = serde_json::from_str(&ready).unwrap();
    let address = ready["address"].as_str().unwrap().parse().unwrap();
    let process = Pid::from_child(&child);

    kill_process(process, Signal::HUP).unwrap();
    // The signal would come first, if it were caught.
    ask(address, &["get", "instance/id"]).value();
    assert_eq!(child.try_wait().unwrap(), None);
    kill_process(process, Signal::TERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn what_is_ignored_is_ignored_by_the_program_of_exec_too() {
    let seen = |script: &str| {
        let ran = Ran::new(shell(script).output().unwrap()).value();
        u64::from_str_radix(ran.trim().rsplit('\t').next().unwrap(), 16).unwrap() & 0b111
    };
    let mask = |ignored: &str| {
        seen(&format!(
            r#"trap '' {ignored}; exec "$1" exec -- grep SigIgn /proc/self/status"#
        ))
    };
    // A shell that runs tests in the background has them ignore signals already.
    let inherited = seen("grep SigIgn /proc/self/status");
    assert_eq!(mask("HUP"), 0b001 | inherited);
    assert_eq!(mask("HUP INT"), 0b011 | inherited);
    assert_eq!(
        seen(r#"exec "$1" exec -- grep SigIgn /proc/self/status"#),
        inherited
    );
}

/// Runs `gce-auth exec` as the first process of a namespace; `None` where that is not allowed.
fn as_first_process(arguments: &str) -> Option<Ran> {
    let unshare = "unshare --user --map-root-user --pid --fork --mount-proc";
    let allowed = shell(&format!("{unshare} true"))
        .stderr(Stdio::null())
        .status();
    if !allowed.unwrap().success() {
        println!("SKIPPED: namespaces are not allowed");
        return None;
    }
    let script = format!(r#"exec {unshare} "$1" exec {arguments}"#);
    Some(Ran::new(shell(&script).output().unwrap()))
}

#[test]
fn the_first_process_of_a_container_reaps_orphans() {
    // An orphan ends, and is gone when no process is a zombie; the shell gives up after 1000 looks.
    let orphans = "-- sh -c '
        test -d /proc/2 || exit 9
        for i in 1 2 3; do (sh -c \"exit 3\" &); done
        looks=0
        while grep -q \"^State:.Z\" /proc/[0-9]*/status 2>/dev/null; do
            looks=$((looks + 1)); test $looks -lt 1000 || exit 8
        done
        echo $GCE_METADATA_HOST; exit 7'";
    let Some(ran) = as_first_process(orphans) else {
        return;
    };
    assert_eq!(ran.code, Some(7), "{ran:?}");
    assert!(ran.stdout.starts_with("127.0.0.1:"), "{ran:?}");
    // A signal that ends the program is told as elsewhere.
    let killed = as_first_process("-- sh -c 'kill -TERM $$'").unwrap();
    assert_eq!(killed.code, Some(128 + 15), "{killed:?}");
}
