//! The wire, byte for byte: requests as they were recorded, and answers as they were captured on
//! real machines.
//!
//! Each file of `golden/` has a request and its answer, with a line of dashes between them.
//! `<etag>` and `<date>` stand for what differs from run to run. The files are written by hand: a
//! test that fails does not change them.

#![allow(clippy::unwrap_used, reason = "a test says with it what it expects")]

mod client;

use std::{fs, path::Path};

use client::exchange;
use gce_auth_emulator::{Account, Emulator};

/// The machine of the files.
fn emulator() -> Emulator {
    let ann = r#"[{"name": "ann@example.com", "posixAccounts": [{"primary": true, "username": "ann", "uid": "1001",
        "gid": "1001", "homeDirectory": "/home/ann", "shell": "/bin/bash"}]}]"#;
    Emulator::builder()
        .project_id("my-project")
        .account(Account::new("robot@my-project.iam.gserviceaccount.com"))
        .set("instance/attributes/greeting", "hello, world")
        .set("oslogin/users", ann)
        .start()
        .unwrap()
}

/// The request in the file, as bytes that end the connection, and the answer.
fn read(path: &Path) -> (Vec<u8>, String) {
    let text = fs::read_to_string(path).unwrap();
    let (request, answer) = text.split_once("----\n").unwrap();
    let request: String = request
        .split_inclusive('\n')
        .filter(|line| !line.starts_with("# "))
        .collect();
    let (head, body) = request.split_once("\n\n").unwrap();
    let head = head.replace('\n', "\r\n");
    let bytes = format!(
        "{head}\r\nConnection: close\r\n\r\n{}",
        body.trim_end_matches('\n')
    );
    // The file ends with a line end that is not the answer's.
    (
        bytes.into_bytes(),
        answer.strip_suffix('\n').unwrap().into(),
    )
}

/// The answer with placeholders, once their values were looked at.
fn with_placeholders(answer: &str) -> String {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let mut lines = Vec::new();
    for line in head.split("\r\n") {
        match line.split_once(": ") {
            Some(("ETag", etag)) => {
                assert_eq!(etag.len(), 16);
                assert!(etag.bytes().all(|byte| b"0123456789abcdef".contains(&byte)));
                lines.push("ETag: <etag>");
            }
            Some(("Date", date)) => {
                assert_eq!((date.len(), &date[26..]), (29, "GMT"));
                lines.push("Date: <date>");
            }
            // Because the request asked for it.
            Some(("Connection", "close")) => {}
            _ => lines.push(line),
        }
    }
    lines.join("\n") + "\n\n" + body
}

#[test]
fn every_answer_is_the_one_on_file() {
    let emulator = emulator();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut count = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let (request, expected) = read(&path);
        let answer = String::from_utf8(exchange(emulator.addr(), &request)).unwrap();
        assert_eq!(with_placeholders(&answer), expected, "{}", path.display());
        count += 1;
    }
    assert!(count >= 30, "{count} files");
}
