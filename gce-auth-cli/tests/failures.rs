//! One line for each failure, and the exit code that is promised.

#![allow(clippy::unwrap_used, reason = "a test says with it what it expects")]
#![allow(
    clippy::disallowed_methods,
    reason = "how long the command took is what is tested"
)]

mod support;

use std::time::{Duration, Instant};

use gce_auth_emulator::{Emulator, Fault, Profile};
use support::{Ran, answering, ask, closed_port, emulator, gce_auth, run, silent};

/// The wait unless another is set.
const DEFAULT: Duration = Duration::from_secs(10);

#[test]
fn a_closed_port_is_3_and_named() {
    let address = closed_port();
    for command in [
        &["token", "--timeout", "0.3"][..],
        &["id-token", "--audience", "a", "--timeout", "0.3"],
        &["get", "instance/id", "--timeout", "0.3"],
        &["demo", "--real", "--timeout", "0.3"],
    ] {
        let line = ask(address, command).failure(3);
        assert!(line.contains(&address.to_string()), "{line}");
        assert!(line.contains("; "), "no advice: {line}");
    }
}

#[test]
fn a_timeout_shortens_the_wait() {
    let (silent, _listener) = silent();
    for (address, code) in [(silent, 4), (closed_port(), 3)] {
        let start = Instant::now();
        ask(address, &["token", "--timeout", "0.4"]).failure(code);
        assert!(start.elapsed() < DEFAULT);
    }
}

#[test]
fn a_variable_that_denies_google_cloud_is_believed() {
    for (name, value) in [
        ("METADATA_SERVER_DETECTION", "none"),
        ("NO_GCE_CHECK", "true"),
    ] {
        let start = Instant::now();
        let output = gce_auth(&["demo", "--real"]).env(name, value).output();
        let line = Ran::new(output.unwrap()).failure(3);
        assert!(line.contains(name), "{line}");
        assert!(line.contains("GCE_METADATA_HOST"), "{line}");
        assert!(start.elapsed() < DEFAULT);
    }
}

#[test]
fn an_impostor_is_3() {
    let address = answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
    ask(address, &["get", "instance/id"]).failure(3);
    ask(address, &["token"]).failure(3);
    let away = answering(
        "HTTP/1.1 302 Found\r\nLocation: http://login.example/\r\nContent-Length: 0\r\n\r\n",
    );
    ask(away, &["token"]).failure(3);
    // That a metadata server said it would be 6: no service account is attached.
    let plain = answering("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
    for command in [
        &["token"][..],
        &["id-token", "--audience", "a"],
        &["get", "instance/attributes/none"],
    ] {
        ask(plain, command).failure(3);
    }
}

#[test]
fn a_refusal_is_5_and_is_not_repeated() {
    let emulator = emulator();
    let fault = Fault::Status {
        code: 403,
        retry_after: None,
    };
    emulator.fail_next("instance/", usize::MAX, fault);
    let line = ask(emulator.addr(), &["token"]).failure(5);
    assert!(line.contains("403"), "{line}");
    assert_eq!(emulator.requests().len(), 1);
}

#[test]
fn what_does_not_exist_is_6() {
    let emulator = Emulator::builder()
        .profile(Profile::GceWithoutAccount)
        .start()
        .unwrap();
    let line = ask(emulator.addr(), &["get", "instance/nothing"]).failure(6);
    assert!(line.contains("instance/nothing"), "{line}");
    let line = ask(emulator.addr(), &["token"]).failure(6);
    assert!(line.contains("service account"), "{line}");
    ask(emulator.addr(), &["id-token", "--audience", "a"]).failure(6);
}

#[test]
fn a_token_that_ends_too_soon_is_7() {
    let emulator = Emulator::builder()
        .token_lifetime(Duration::from_secs(300))
        .start()
        .unwrap();
    let line = ask(emulator.addr(), &["token", "--min-lifetime", "600"]).failure(7);
    assert!(line.contains("10 min"), "{line}");
    let ran = ask(emulator.addr(), &["token", "--min-lifetime", "60"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
}

#[test]
fn a_server_in_trouble_is_1() {
    let emulator = emulator();
    let fault = Fault::Status {
        code: 503,
        retry_after: None,
    };
    emulator.fail_next("/", usize::MAX, fault);
    let line = ask(emulator.addr(), &["token", "--timeout", "0.3"]).failure(1);
    assert!(line.contains("503"), "{line}");
}

#[test]
fn settings_that_make_no_sense_are_2_and_named() {
    let line = run(&["token", "--endpoint", "not a host"]).failure(2);
    assert!(line.contains("not a host"), "{line}");
    let output = gce_auth(&["token"])
        .env("GCE_METADATA_HOST", "a/b")
        .output();
    let line = Ran::new(output.unwrap()).failure(2);
    assert!(line.starts_with("GCE_METADATA_HOST"), "{line}");
}

#[test]
fn arguments_that_make_no_sense_are_2() {
    for arguments in [
        &[][..],
        &["no-such-command"],
        &["token", "--timeout", "soon"],
        &["token", "--timeout", "0"],
        &["token", "--format", "xml"],
        &["token", "surplus"],
        &["id-token"],
        &["id-token", "--audience", ""],
        &["id-token", "--audience", "a", "--standard", "--licenses"],
        &["get"],
        &["emulate", "--port", "70000"],
        &["demo", "--endpoint", "127.0.0.1:1"],
        &["token", "--quiet", "--verbose"],
    ] {
        let ran = run(arguments);
        assert_eq!(ran.code, Some(2), "{arguments:?} {ran:?}");
        assert_eq!(ran.stdout, "", "{arguments:?}");
        assert!(!ran.stderr.is_empty(), "{arguments:?}");
    }
}

#[test]
fn a_wrong_argument_is_shown_without_its_user_and_password() {
    for arguments in [
        &[
            "helper",
            "docker",
            "get",
            "--allow-host",
            "https://me:s3cret@a.example",
        ][..],
        &["helper", "git", "get", "--allow-host=me:s3cret@a.example"],
        &["token", "--trust-host", "s3cret@a.example"],
        &["token", "https://me:s3cret@a.example"],
        &["https://me:s3cret@a.example"],
        &["helper", "https://me:s3cret@a.example"],
    ] {
        let ran = run(arguments);
        assert_eq!(ran.code, Some(2), "{ran:?}");
        let shown = ran.stderr.contains("[redacted]@a.example");
        assert!(shown && !ran.stderr.contains("s3cret"), "{ran:?}");
    }
}

#[test]
fn advice_is_for_the_command_line() {
    let emulator = emulator();
    let recursive = |arguments: &[&str], code| {
        let line = ask(emulator.addr(), arguments).failure(code);
        assert!(line.contains("--recursive"), "{arguments:?}: {line}");
    };
    recursive(&["get", "--json", "instance/"], 1);
    recursive(&["get", "--json", "instance"], 1);
    recursive(&["get", "instance/?recursive=true"], 2);
    recursive(&["watch", "instance/?recursive=true"], 2);

    let token = "instance/service-accounts/default/token";
    let line = ask(emulator.addr(), &["watch", token]).failure(2);
    assert!(
        line.contains("`gce-auth token`") && !line.contains("Credentials"),
        "{line}"
    );
    let (silent, _listener) = silent();
    // What ends first differs.
    for timeout in ["0.001", "0.002", "0.003", "0.01"] {
        let line = ask(silent, &["wait", "--timeout", timeout]).failure(4);
        assert!(!line.contains("RetryPolicy"), "{line}");
    }
}

#[test]
fn quiet_leaves_only_the_exit_code() {
    let ran = ask(closed_port(), &["token", "--quiet", "--timeout", "0.2"]);
    assert_eq!(
        (ran.code, ran.stdout, ran.stderr),
        (Some(3), "".into(), "".into())
    );
}

#[test]
fn a_taken_port_is_1_and_says_what_to_do() {
    let taken = emulator();
    let port = taken.addr().port().to_string();
    let line = run(&["emulate", "--port", &port]).failure(1);
    assert!(line.contains(&port) && line.contains("--port 0"), "{line}");
}
