//! What the machine is: info, headers, detection, readiness, diagnosis.

#![allow(clippy::unwrap_used, reason = "a test says with it what it expects")]

mod support;

use std::{net::SocketAddr, process::Command, time::Duration};

use gce_auth_emulator::{Account, Emulator, Fault, Profile};
use serde_json::Value;
use support::{Ran, answering, ask, closed_port, emulator, gce_auth, run};

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn info_tells_who_and_where() {
    let emulator = Emulator::builder()
        .project_id("my-project")
        .start()
        .unwrap();
    let text = ask(emulator.addr(), &["info"]).value();
    for part in [
        "my-project",
        "us-central1-a",
        "@my-project.iam.gserviceaccount.com",
        "cloud-platform",
        "googleapis.com",
    ] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    let info = json(&ask(emulator.addr(), &["info", "--json"]).value());
    assert_eq!(info["project"], "my-project");
    assert_eq!(info["region"], "us-central1");
    assert!(info["token_expires_in"].as_u64().unwrap() > 3000);
    assert!(!text.contains("ya29") && !info.to_string().contains("ya29"));
}

#[test]
fn info_says_none_of_what_is_not_there() {
    let emulator = Emulator::builder()
        .profile(Profile::GceWithoutAccount)
        .start()
        .unwrap();
    let info = json(&ask(emulator.addr(), &["info", "--json"]).value());
    assert_eq!(info["account"], Value::Null);
    assert_eq!(info["token_expires_in"], Value::Null);
    assert_eq!(info["project"], "emulator-project");
    ask(closed_port(), &["info", "--timeout", "0.2"]).failure(3);
}

#[test]
fn info_has_seconds_for_times_alone() {
    let builder = Emulator::builder().numeric_project_id(42);
    let emulator = builder.set("instance/id", "7").start().unwrap();
    let text = ask(emulator.addr(), &["info"]).value();
    let shown = |name: &str| {
        let mut lines = text.lines();
        let line = lines.find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim().to_owned()
    };
    assert_eq!(shown("project number"), "42");
    assert_eq!(shown("instance id"), "7");
    assert!(shown("token expires in").ends_with(" s"), "{text}");
}

#[test]
fn info_of_an_account_that_is_not_there_is_6() {
    let emulator = emulator();
    let line = ask(emulator.addr(), &["info", "--account", "absent@x"]).failure(6);
    assert!(line.contains("absent@x"), "{line}");
    let known = emulator_account(&emulator);
    ask(emulator.addr(), &["info", "--account", &known]).value();
}

fn emulator_account(emulator: &Emulator) -> String {
    let info = json(&ask(emulator.addr(), &["info", "--json"]).value());
    info["account"].as_str().unwrap().to_owned()
}

#[test]
fn headers_are_those_of_a_request() {
    let emulator = emulator();
    let token = ask(emulator.addr(), &["token"]).value();
    let token = token.trim();
    let print = |more: &[&str]| ask(emulator.addr(), &[&["headers"], more].concat()).value();
    assert_eq!(print(&[]), format!("authorization: Bearer {token}\n"));
    assert_eq!(
        print(&["--quota-project", "billed"]),
        format!("authorization: Bearer {token}\nx-goog-user-project: billed\n")
    );
    assert_eq!(
        print(&["--format", "curl"]),
        format!("header = \"authorization: Bearer {token}\"\n")
    );
    let all = json(&print(&["--format", "json"]));
    assert_eq!(all["authorization"], format!("Bearer {token}"));
    let with_id_token = print(&["--audience", "https://a.example"]);
    assert!(with_id_token.starts_with("authorization: Bearer ey"));
}

#[test]
fn detection_gives_its_reason_and_a_code() {
    let emulator = emulator();
    let endpoint = emulator.addr().to_string();
    let found = run(&["detect", "--endpoint", &endpoint]).value();
    assert!(found.starts_with("on Google Cloud: "), "{found}");
    let like = ["detect", "--like", "google-auth"];
    let output = gce_auth(&like).env("GCE_METADATA_IP", &endpoint).output();
    let found = Ran::new(output.unwrap()).value();
    assert!(found.starts_with("on Google Cloud: "), "{found}");
    run(&[&like[..], &["--endpoint", &endpoint]].concat()).failure(2);

    let output = gce_auth(&["detect", "--json"])
        .env("NO_GCE_CHECK", "true")
        .output();
    let ran = Ran::new(output.unwrap());
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(3), ""));
    let found = json(&ran.stdout);
    assert_eq!(found["on_google_cloud"], false);
    assert!(found["reason"].as_str().unwrap().contains("NO_GCE_CHECK"));
}

#[test]
fn waiting_ends_when_there_is_a_token() {
    let emulator = emulator();
    let missing = Fault::Status {
        code: 404,
        retry_after: None,
    };
    emulator.fail_next("instance/service-accounts/", 1, missing);
    ask(emulator.addr(), &["wait"]).value();
    assert_eq!(emulator.requests().len(), 2);
}

#[test]
fn waiting_in_vain_says_what_was_missing() {
    let line = ask(closed_port(), &["wait", "--timeout", "0.5"]).failure(3);
    assert!(line.contains("refused"), "{line}");
    let emulator = Emulator::builder()
        .profile(Profile::GceWithoutAccount)
        .start()
        .unwrap();
    ask(emulator.addr(), &["wait", "--timeout", "0.5"]).failure(6);
}

fn doctor(address: SocketAddr, more: &[&str]) -> Command {
    let mut command = gce_auth(&["doctor", "--json", "--timeout", "2"]);
    let address = address.to_string();
    command
        .args(more)
        .env("GCE_METADATA_HOST", &address)
        .env("GCE_METADATA_IP", &address);
    command
}

/// The steps of a report with this name.
fn steps<'a>(report: &'a Value, name: &str) -> Vec<&'a Value> {
    let steps = report["steps"].as_array().unwrap().iter();
    steps.filter(|step| step["step"] == name).collect()
}

fn examined(command: &mut Command) -> (Option<i32>, Value) {
    let ran = Ran::new(command.output().unwrap());
    assert_eq!(ran.stderr, "");
    assert!(!ran.stdout.contains("ya29") && !ran.stdout.contains("eyJ"));
    (ran.code, json(&ran.stdout))
}

#[test]
fn a_healthy_machine_has_nothing_to_cure() {
    let emulator = emulator();
    let (code, report) = examined(&mut doctor(emulator.addr(), &[]));
    assert_eq!(code, Some(0), "{report:#}");
    assert_eq!(report["ok"], true);
    for name in [
        "environment",
        "key files",
        "firmware",
        "proxies",
        "address",
        "connection",
        "answer",
        "clock",
        "account",
        "scopes",
        "access token",
        "ID token",
        "project",
        "universe",
    ] {
        let found = steps(&report, name);
        assert!(!found.is_empty(), "no step {name}");
        assert!(found.iter().all(|step| step["result"] == "ok"), "{found:?}");
    }
}

#[test]
fn what_is_wrong_is_found_and_a_cure_is_named() {
    let emulator = Emulator::builder()
        .account(Account::new("a@p.iam.gserviceaccount.com").scopes(["openid"]))
        .token_lifetime(Duration::from_secs(100))
        .start()
        .unwrap();
    emulator.advance(Duration::from_secs(3600));
    let mut command = doctor(emulator.addr(), &["--source", "metadata"]);
    command
        .env("GCE_METADATA_IP", "10.0.0.1")
        .env("GOOGLE_APPLICATION_CREDENTIALS", "/key.json")
        .env("HTTP_PROXY", "http://user:hush@proxy.example:3128");
    let (code, report) = examined(&mut command);
    assert_eq!(code, Some(0), "{report:#}");
    for (name, part) in [
        ("environment", "10.0.0.1"),
        ("key files", "/key.json"),
        ("proxies", "proxy.example"),
        ("clock", "behind"),
        ("scopes", "openid"),
        ("access token", "1 min"),
    ] {
        let warned = steps(&report, name).into_iter().any(|step| {
            step["result"] == "warning"
                && step["found"].as_str().unwrap().contains(part)
                && step["advice"].is_string()
        });
        assert!(warned, "{name}: {report:#}");
    }
    assert!(!report.to_string().contains("hush"));
}

#[test]
fn the_first_step_that_fails_gives_the_code() {
    let (code, report) = examined(&mut doctor(closed_port(), &[]));
    assert_eq!(code, Some(3));
    assert_eq!(steps(&report, "connection")[0]["result"], "failed");
    assert_eq!(report["ok"], false);

    let impostor = answering("HTTP/1.1 200 OK\r\nServer: portal\r\nContent-Length: 2\r\n\r\nhi");
    let (code, report) = examined(&mut doctor(impostor, &[]));
    assert_eq!(code, Some(3));
    let answer = steps(&report, "answer")[0]["found"].as_str().unwrap();
    assert!(answer.contains("portal"), "{answer}");

    let lonely = Emulator::builder()
        .profile(Profile::GceWithoutAccount)
        .start()
        .unwrap();
    let (code, report) = examined(&mut doctor(lonely.addr(), &[]));
    assert_eq!(code, Some(6));
    assert!(steps(&report, "access token").is_empty());
    assert_eq!(steps(&report, "project")[0]["result"], "ok");
}

#[test]
fn the_doctor_shows_nothing_that_controls_a_terminal() {
    let output = gce_auth(&["doctor", "--endpoint", &closed_port().to_string()])
        .env("GCE_METADATA_HOST", "a\x1b[2J\nb")
        .output();
    let ran = Ran::new(output.unwrap());
    assert!(ran.stdout.contains("GCE_METADATA_HOST=a [2J b"), "{ran:?}");
    assert!(!ran.stdout.contains('\x1b'), "{ran:?}");
}

#[test]
fn the_doctor_has_bytes_signed_if_asked() {
    let emulator = emulator();
    let url = emulator.url();
    let (code, report) = examined(&mut doctor(emulator.addr(), &["--iam-endpoint", &url]));
    assert_eq!(code, Some(0));
    assert_eq!(steps(&report, "signature")[0]["result"], "ok");
}
