//! What people read: the demo, and the help of every command.
//!
//! `SNAPSHOTS=overwrite cargo test -p gce-auth-cli --test pages` writes them anew.

#![allow(clippy::unwrap_used, reason = "a test says with it what it expects")]

mod support;

use gce_auth_emulator::{Emulator, Fault, Profile};
use snapbox::{assert_data_eq, file};
use support::{Ran, ask, closed_port, emulator, gce_auth, run};

/// The names of the commands, as the help lists them.
fn commands() -> Vec<String> {
    let help = run(&["--help"]).value();
    let (_, list) = help.split_once("Commands:\n").unwrap();
    let (list, _) = list.split_once("\n\n").unwrap();
    // A second line of a description has no name.
    let lines = list.lines().filter(|line| !line.starts_with("   "));
    let names = lines.filter_map(|line| line.split_whitespace().next());
    names.map(str::to_owned).collect()
}

/// The pages that are kept here.
fn pages() -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/snapshots/help")
}

#[test]
fn the_demo_shows_everything() {
    let page = run(&["demo"]).value();
    assert_data_eq!(page, file!["snapshots/demo.txt"]);
}

#[test]
fn the_demo_asks_nobody_else() {
    let (other, server) = (closed_port(), closed_port());
    let output = gce_auth(&["demo"])
        .env("GCE_METADATA_HOST", other.to_string())
        .env("GCE_METADATA_IP", server.to_string())
        .env("NO_GCE_CHECK", "true")
        .output();
    let page = Ran::new(output.unwrap()).value();
    assert!(page.contains("All 8 steps done"), "{page}");
}

#[test]
fn the_demo_shows_no_token() {
    let page = run(&["demo"]).value();
    let long = page.split_whitespace().filter(|word| word.len() > 110);
    assert_eq!(long.count(), 0, "{page}");
}

#[test]
fn a_real_server_that_cannot_do_everything_is_told_of() {
    let lonely = Emulator::builder()
        .profile(Profile::GceWithoutAccount)
        .start()
        .unwrap();
    // What would ask Google is not reached without an account.
    let ran = ask(lonely.addr(), &["demo", "--real"]);
    assert_eq!(ran.code, Some(6), "{ran:?}");
    assert!(ran.stdout.contains("emulator-project"), "{ran:?}");
    assert!(ran.stderr.contains("service account"), "{ran:?}");

    let refusing = emulator();
    let fault = Fault::Status {
        code: 403,
        retry_after: None,
    };
    refusing.fail_next("instance/service-accounts/", usize::MAX, fault);
    let ran = ask(refusing.addr(), &["demo", "--real"]);
    assert_eq!(ran.code, Some(5), "{ran:?}");
}

#[test]
fn every_command_has_help_with_examples() {
    assert_data_eq!(
        run(&["--help"]).value(),
        file!["snapshots/help/gce-auth.txt"]
    );
    for command in commands().iter().filter(|command| *command != "help") {
        let help = run(&[command, "--help"]).value();
        assert!(help.contains("\nExamples:\n"), "{command}: {help}");
        assert_eq!(run(&["help", command]).value(), help);
        let short = run(&[command, "-h"]).value();
        assert!(short.contains("\nExamples:\n"), "{command}: {short}");
        let page = pages().join(format!("{command}.txt"));
        assert_data_eq!(help, snapbox::Data::read_from(&page, None));
    }
}

#[test]
fn the_commands_of_a_command_have_help_with_examples() {
    let deeds = ["set", "get", "delete"];
    let helps = deeds.map(|deed| run(&["guest", deed, "--help"]).value());
    for help in &helps {
        assert!(help.contains("\nExamples:\n"), "{help}");
    }
    assert_data_eq!(helps.join("\n"), file!["snapshots/help/guest-deeds.txt"]);
    let event = run(&["emulate", "event", "--help"]).value();
    assert_data_eq!(event, file!["snapshots/help/emulate-event.txt"]);
}

#[test]
fn no_page_is_of_a_command_that_is_gone() {
    let mut known = commands();
    known.extend(["gce-auth", "guest-deeds", "emulate-event"].map(str::to_owned));
    for entry in std::fs::read_dir(pages()).unwrap() {
        let file = entry.unwrap().file_name().into_string().unwrap();
        let name = file.strip_suffix(".txt").unwrap().to_owned();
        assert!(known.contains(&name), "{name}");
    }
}

#[test]
fn completions_know_the_commands() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = run(&["completions", shell]).value();
        assert!(script.contains("id-token"), "{shell}");
    }
    assert_eq!(run(&["completions", "tcsh"]).code, Some(2));
}

#[test]
fn every_command_has_a_manual_page() {
    let page = run(&["man"]).value();
    assert!(page.contains(".TH gce-auth 1") && page.contains("Exit codes"));
    for command in &commands() {
        let page = run(&["man", command]).value();
        assert!(
            page.contains(&format!(".TH gce-auth-{command} 1")),
            "{page}"
        );
    }
    for deed in ["set", "get", "delete"] {
        let page = run(&["man", "guest", deed]).value();
        let title = format!(".TH gce-auth-guest-{deed} 1");
        assert!(page.contains(&title), "{page}");
    }
    for nothing in [&["man", "nothing"][..], &["man", "guest", "nothing"]] {
        let line = run(nothing).failure(2);
        assert!(line.contains("nothing"), "{line}");
    }
}
