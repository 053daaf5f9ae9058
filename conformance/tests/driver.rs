//! The driver's command line.

use std::{
    io::Write as _,
    process::{Command, Stdio},
};

#[test]
fn an_unknown_subcommand_is_bad_usage() {
    for arguments in [
        &[][..],
        &["no-such-judge"][..],
        &["faults"][..],
        &["faults", "no-such-operation"][..],
        &["faults", "id_token"][..],
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_conformance-driver"))
            .args(arguments)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2));
        assert!(output.stdout.is_empty());
        assert!(String::from_utf8_lossy(&output.stderr).starts_with("usage: "));
    }
}

#[test]
fn a_session_answers_every_line_and_asks_nobody_unless_told_to() {
    let mut driver = Command::new(env!("CARGO_BIN_EXE_conformance-driver"))
        .args(["faults", "session"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let requests = b"{\"op\":\"build_outside_runtime\"}\n\n{\"op\":\"new_runtime\"}\n\
        {\"op\":\"dance\"}\nnot JSON\n{}\n";
    driver.stdin.take().unwrap().write_all(requests).unwrap();
    let output = driver.wait_with_output().unwrap();
    assert!(output.status.success());
    let answers: Vec<serde_json::Value> = String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let kinds: Vec<_> = answers
        .iter()
        .map(|answer| (answer["ok"] == true, answer["error_kind"].as_str()))
        .collect();
    assert_eq!(
        kinds,
        [
            (true, None),
            (true, None),
            (false, Some("unsupported")),
            (false, Some("other")),
            (false, Some("other")),
        ]
    );
}
