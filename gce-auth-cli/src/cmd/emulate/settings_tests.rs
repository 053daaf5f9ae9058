//! What `emulate` takes from files and variables.

use std::{ffi::OsString, fs};

use clap::Command;

use super::Args;
use crate::{
    exit::Failure,
    options::settings::{DEEDS, Runs, effective},
};

fn command() -> Command {
    <Args as clap::Args>::augment_args(Command::new("emulate"))
}

fn expand(
    arguments: Vec<OsString>,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Vec<OsString>, Failure> {
    let command = &command();
    let runs = Runs {
        name: "emulate",
        command,
        file: None,
    };
    runs.expand(arguments, variable)
}

fn arguments(words: &[&str]) -> Vec<OsString> {
    ["gce-auth", "-v", "emulate"]
        .iter()
        .chain(words)
        .map(OsString::from)
        .collect()
}

fn settings(words: &[&str]) -> String {
    let expanded = expand(arguments(words), |_| None).unwrap();
    effective(&command(), &expanded).unwrap()
}

#[test]
fn what_is_printed_says_the_same_when_it_is_given_back() {
    let file = std::env::temp_dir().join(format!("gce-auth-config-{}.toml", std::process::id()));
    let path = file.to_str().unwrap();
    for (words, lines) in [
        (&[][..], &["profile = \"gce\"\n"][..]),
        (
            &[
                "--port",
                "8080",
                "--strict",
                "--project=my-project",
                "--allow-from=10.0.0.0/8,fd00::/8",
            ],
            &[
                "port = 8080\n",
                "strict = true\n",
                "project = \"my-project\"\n",
                "allow-from = [\"10.0.0.0/8\", \"fd00::/8\"]\n",
            ],
        ),
        (
            &[
                "--set",
                "instance/attributes/a=\"1\"\\",
                "--set=instance/attributes/b=2",
                "--account=a@b",
            ],
            &["/a=\"1\"\\', ", "/b=2", "account = [\"a@b\"]\n"],
        ),
        (
            &[
                "--event",
                "event = { kind = \"preempt\" }",
                "--fault",
                "path = \"/\", fault = { kind = \"hang\" }",
            ],
            &["event = [", "preempt", "fault = [", "hang"],
        ),
        (
            &[
                "--cold-start",
                "0.5",
                "--token-lifetime=600",
                "--write-adc=.",
                "--adc-kind=service_account",
            ],
            &[
                "cold-start = \"0.5\"\n",
                "token-lifetime = 600\n",
                "write-adc = \".\"\n",
                "adc-kind = \"service_account\"\n",
            ],
        ),
        (
            &[
                "--project=007",
                "--address=::1",
                "--token-command",
                "echo 'a b'",
            ],
            &["project = \"007\"\n", "address = \"::1\"\n"],
        ),
    ] {
        let printed = settings(words);
        for line in lines {
            assert!(printed.contains(line), "{printed}\nwithout {line}");
        }
        assert_eq!(printed.contains("strict"), words.contains(&"--strict"));
        fs::write(&file, &printed).unwrap();
        assert_eq!(settings(&["--config", path]), printed, "{words:?}");
        assert_eq!(settings(&[&format!("--config={path}")]), printed);
    }
    fs::write(
        &file,
        "port = 1\nproject = \"file\"\nset = [\"instance/id=1\"]",
    )
    .unwrap();
    let mixed = settings(&["--config", path, "--port", "2"]);
    assert!(
        mixed.contains("port = 2\n") && mixed.contains("project = \"file\"\n"),
        "{mixed}"
    );
    let named = |name: &str| (name == "GCE_AUTH_EMULATOR_CONFIG").then(|| path.to_owned());
    let expanded = expand(arguments(&[]), named).unwrap();
    assert!(
        expanded.contains(&OsString::from("--port=1")),
        "{expanded:?}"
    );
    for (text, part) in [
        ("ports = 1", "`ports` is no setting"),
        ("config = \"x\"", "no setting"),
        ("allow_from = \"x\"", "no setting"),
        ("strict = 1", "another type"),
        ("port = [1]", "another type"),
        ("port = true", "another type"),
        ("port =", "emulat"),
    ] {
        fs::write(&file, text).unwrap();
        let why = expand(arguments(&["--config", path]), |_| None);
        let why = why.unwrap_err().to_string();
        assert!(
            why.contains(path) && (why.contains(part) || text == "port ="),
            "{why}"
        );
    }
    fs::remove_file(&file).unwrap();
}

#[test]
fn other_commands_are_left_alone() {
    let named = |_: &str| Some("/nonexistent".to_owned());
    for words in [
        &["gce-auth", "token"][..],
        &["gce-auth", "emulate", "event", "list"],
        &["gce-auth"],
        &[],
    ] {
        let words: Vec<OsString> = words.iter().map(OsString::from).collect();
        assert_eq!(expand(words.clone(), named).unwrap(), words);
    }
    assert!(expand(arguments(&[]), named).is_err());
}

#[test]
fn each_setting_has_a_variable() {
    let mut count = 0;
    for arg in command().get_arguments() {
        let id = arg.get_id().as_str();
        let has = arg.get_env().is_some();
        assert_eq!(has, !DEEDS[1..].contains(&id), "{id}");
        count += usize::from(has);
    }
    assert!(count > 30, "{count}");
}
