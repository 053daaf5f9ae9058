//! One cause has one exit code: `token` and `doctor` agree.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test says with it what it expects")]

mod support;

use std::{
    fs,
    net::SocketAddr,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use gce_auth_emulator::{Account, AdcKind, Emulator, Fault, Profile};
use serde_json::Value;
use support::{Ran, answering, closed_port, emulator, gce_auth, silent};

type Variables<'a> = [(&'a str, &'a str)];

fn ran(command: &[&str], timeout: &str, arguments: &[&str], variables: &Variables<'_>) -> Ran {
    let mut command = gce_auth(&[command, &["--timeout", timeout], arguments].concat());
    Ran::new(command.envs(variables.iter().copied()).output().unwrap())
}

/// Runs both commands; returns the report of the doctor.
#[track_caller]
fn both(cause: &str, code: i32, arguments: &[&str], variables: &Variables<'_>) -> Value {
    // What is repeated in vain ends with the timeout.
    let timeout = if [1, 3, 4].contains(&code) {
        "0.6"
    } else {
        "20"
    };
    let token = ran(&["token"], timeout, arguments, variables);
    assert_eq!(token.code, Some(code), "token: {cause}: {token:?}");
    let doctor = ran(&["doctor", "--json"], timeout, arguments, variables);
    assert_eq!(doctor.code, Some(code), "doctor: {cause}: {doctor:?}");
    assert!(!doctor.stdout.contains("ya29"), "{cause}");
    let report: Value = serde_json::from_str(&doctor.stdout).unwrap();
    assert_eq!(report["ok"], code == 0, "{cause}: {report:#}");
    report
}

/// Returns whether a step has this result.
fn has(report: &Value, name: &str, result: &str) -> bool {
    let mut steps = report["steps"].as_array().unwrap().iter();
    steps.any(|step| step["step"] == name && step["result"] == result)
}

fn failing(code: u16) -> Emulator {
    let emulator = emulator();
    let fault = Fault::Status {
        code,
        retry_after: None,
    };
    emulator.fail_next("instance/service-accounts/", usize::MAX, fault);
    emulator
}

#[test]
fn of_the_metadata_server() {
    let at = |cause: &str, code: i32, address: SocketAddr| {
        both(
            cause,
            code,
            &[],
            &[("GCE_METADATA_HOST", &address.to_string())],
        );
    };
    at("all is well", 0, emulator().addr());
    at("connections are refused", 3, closed_port());
    let (address, _listener) = silent();
    at("no answer", 4, address);
    let portal = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";
    at("another server", 3, answering(portal));
    let refusing = failing(403);
    at("a refusal", 5, refusing.addr());
    let broken = failing(503);
    at("a server in trouble", 1, broken.addr());
    let lonely = Emulator::builder().profile(Profile::GceWithoutAccount);
    let lonely = lonely.start().unwrap();
    at("no account", 6, lonely.addr());
    both("no host", 2, &[], &[("GCE_METADATA_HOST", "a/b")]);
    both("no host", 2, &["--endpoint", "not a host"], &[]);
}

/// A directory for the files of one test.
fn folder(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&path);
    fs::create_dir_all(&path).unwrap();
    path
}

#[test]
fn of_a_file() {
    let emulator = emulator();
    let folder = folder("causes");
    let host = emulator.addr().to_string();
    let closed = closed_port().to_string();
    let hosts = format!("{host},{closed}");
    let trusted = ("GCE_AUTH_TRUST_HOSTS", &*hosts);
    let named = |file: &str| folder.join(file).to_str().unwrap().to_owned();
    let write = |file: &str, text: &str| {
        fs::write(named(file), text).unwrap();
        fs::set_permissions(named(file), fs::Permissions::from_mode(0o600)).unwrap();
    };
    let user = emulator.adc(AdcKind::AuthorizedUser).unwrap();
    write("user", &user);
    write("key", &emulator.adc(AdcKind::ServiceAccount).unwrap());
    write("gone", &user.replace(&host, &closed));
    let mut revoked: Value = serde_json::from_str(&user).unwrap();
    revoked["refresh_token"] = "1//another".into();
    write("revoked", &revoked.to_string());
    write("no-json", "{");
    write("typeless", "{}");
    fs::write(named("binary"), b"\xff\xfe{").unwrap();
    for (cause, code, file, arguments) in [
        ("all is well", 0, "user", &[][..]),
        ("all is well", 0, "key", &[]),
        ("no such file", 2, "absent", &[]),
        ("a directory", 2, ".", &[]),
        ("no JSON", 2, "no-json", &[]),
        ("no type", 2, "typeless", &[]),
        ("no text", 2, "binary", &[]),
        ("connections are refused", 3, "gone", &[]),
        ("a revoked login", 5, "revoked", &[]),
        (
            "an account beside a file",
            2,
            "user",
            &["--account", "a@b.c"],
        ),
    ] {
        let file = named(file);
        let variables = [("GOOGLE_APPLICATION_CREDENTIALS", &*file), trusted];
        both(&format!("{cause}: {file}"), code, arguments, &variables);
    }
    let key = named("key");
    let untrusted = [("GOOGLE_APPLICATION_CREDENTIALS", &*key)];
    both("a host that only the file names", 2, &[], &untrusted);
    let arguments = ["--source", &key, "--trust-host", &host];
    let report = both("a host that is trusted", 0, &arguments, &[]);
    assert!(!has(&report, "permissions", "warning"), "{report:#}");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    let report = both("a named file that others can read", 0, &arguments, &[]);
    assert!(has(&report, "permissions", "warning"), "{report:#}");
    let server = [("GCE_METADATA_HOST", &*host)];
    let arguments = ["--trust-host", &host];
    both("nothing to trust it with", 2, &arguments, &server);
}

#[test]
fn a_login_is_checked_in_place_of_the_metadata_server() {
    let emulator = emulator();
    let folder = folder("login");
    let login = emulator
        .write_adc(&folder, AdcKind::AuthorizedUser)
        .unwrap();
    let hosts = emulator.addr().to_string();
    let variables = [
        ("CLOUDSDK_CONFIG", folder.to_str().unwrap()),
        ("GCE_AUTH_TRUST_HOSTS", &*hosts),
    ];
    let report = both("a login", 0, &[], &variables);
    assert!(has(&report, "gcloud login", "warning"), "{report:#}");
    assert!(has(&report, "access token", "ok"), "{report:#}");
    assert!(has(&report, "server", "skipped"), "{report:#}");
    assert!(!has(&report, "permissions", "warning"), "{report:#}");

    fs::set_permissions(&login, fs::Permissions::from_mode(0o644)).unwrap();
    let report = both("a login that others can read", 0, &[], &variables);
    assert!(has(&report, "permissions", "warning"), "{report:#}");
    let shown = report.to_string();
    assert!(shown.contains("chmod 600"), "{shown}");
    for word in ["revoke", "delete", "remove"] {
        assert!(!shown.contains(word), "{shown}");
    }
}

/// The commands that take credentials from a source, with what each needs.
const COMMANDS: [&[&str]; 7] = [
    &["token"],
    &["headers"],
    &["headers", "--audience", "https://a.example"],
    &["id-token", "--audience", "https://a.example"],
    &["info"],
    &["sign", "Cargo.toml"],
    &["sign-url", "gs://bucket/object"],
];

/// Runs every command but those that end otherwise for a reason of their own.
fn every_command(
    cause: &str,
    code: i32,
    arguments: &[&str],
    variables: &Variables<'_>,
    but: &[&str],
) {
    let timeout = if [1, 3, 4].contains(&code) {
        "0.6"
    } else {
        "20"
    };
    for command in COMMANDS {
        if but.contains(&command[0]) {
            continue;
        }
        let arguments = [&command[1..], arguments].concat();
        let ran = ran(&command[..1], timeout, &arguments, variables);
        assert_eq!(ran.code, Some(code), "{cause}: {command:?}: {ran:?}");
        assert_eq!(ran.stdout, "", "{cause}: {command:?}");
        // Wrong arguments are shown by clap, in lines of its own.
        let is_clap = ran.stderr.starts_with("error: invalid value");
        assert!(
            is_clap || ran.stderr.lines().count() == 1,
            "{cause}: {ran:?}"
        );
        assert!(!ran.stderr.contains("ya29"), "{cause}: {ran:?}");
    }
}

#[test]
fn every_command_ends_with_the_code_of_the_cause() {
    let at = |cause: &str, code: i32, address: SocketAddr, but: &[&str]| {
        let address = address.to_string();
        every_command(cause, code, &[], &[("GCE_METADATA_HOST", &address)], but);
    };
    at("connections are refused", 3, closed_port(), &[]);
    let (address, _listener) = silent();
    at("no answer", 4, address, &[]);
    let portal = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";
    at("another server", 3, answering(portal), &[]);
    let refusing = failing(403);
    at("a refusal", 5, refusing.addr(), &[]);
    let broken = failing(503);
    at("a server in trouble", 1, broken.addr(), &[]);
    let lonely = Emulator::builder().profile(Profile::GceWithoutAccount);
    let lonely = lonely.start().unwrap();
    // `info` prints that there is none.
    at("no account", 6, lonely.addr(), &["info"]);

    let absent = ("GOOGLE_APPLICATION_CREDENTIALS", "/no/such/file");
    let server = ("GCE_METADATA_HOST", "127.0.0.1:1");
    every_command("no host", 2, &[], &[("GCE_METADATA_HOST", "a/b")], &[]);
    every_command("no such file", 2, &[], &[absent], &[]);
    every_command("two sources", 2, &[], &[absent, server], &[]);
    for host in ["http://x/y", "", "a b", "a@b", "*.example"] {
        let arguments = ["--endpoint", "127.0.0.1:1", "--trust-host", host];
        every_command("no host to trust", 2, &arguments, &[], &[]);
        every_command("no host to trust", 2, &arguments[2..], &[], &[]);
    }
    let trusted = ["--endpoint", "127.0.0.1:1", "--trust-host", "a.example"];
    every_command("nothing to trust it with", 2, &trusted, &[], &[]);
    let file = ["--source", "/no/such/file"];
    every_command("a named file", 2, &file, &[server], &[]);
}

#[test]
fn a_refusal_of_iam_or_of_the_token_endpoint_is_5_for_every_command() {
    let google = Emulator::builder()
        .account(Account::new("caller@p.iam.gserviceaccount.com"))
        .service_account("target@p.iam.gserviceaccount.com")
        .impersonation("other@p.iam.gserviceaccount.com", "*")
        .start()
        .unwrap();
    let (host, url) = (google.addr().to_string(), google.url());
    let server = [("GCE_METADATA_HOST", &*host)];
    let target = "target@p.iam.gserviceaccount.com";
    let arguments = ["--as", target, "--iam-endpoint", &url];
    every_command("a target that is denied", 5, &arguments, &server, &[]);

    // The endpoint does not know the key of another server.
    let folder = folder("unknown-key");
    let other = Emulator::builder()
        .account(Account::new("caller@p.iam.gserviceaccount.com"))
        .keys_directory(&folder)
        .start()
        .unwrap();
    let mut key: Value =
        serde_json::from_str(&other.adc(AdcKind::ServiceAccount).unwrap()).unwrap();
    key["token_uri"] = format!("{url}/token").into();
    let file = folder.join("key.json");
    fs::write(&file, key.to_string()).unwrap();
    let arguments = ["--source", file.to_str().unwrap(), "--trust-host", &host];
    // A key signs by itself.
    let but = ["sign", "sign-url"];
    every_command("a key that is not known", 5, &arguments, &[], &but);
}

#[test]
fn two_sources_are_2_for_the_doctor_until_one_is_named() {
    let emulator = emulator();
    let folder = folder("two-sources");
    let file = emulator
        .write_adc(&folder, AdcKind::AuthorizedUser)
        .unwrap();
    let host = emulator.addr().to_string();
    let variables = [
        ("GOOGLE_APPLICATION_CREDENTIALS", file.to_str().unwrap()),
        ("GCE_METADATA_HOST", &*host),
        ("GCE_AUTH_TRUST_HOSTS", &*host),
    ];
    let report = both("two sources", 2, &[], &variables);
    assert!(report.to_string().contains("--source"), "{report:#}");
    let report = both("the file", 0, &["--source", "adc"], &variables);
    assert!(has(&report, "file", "ok"), "{report:#}");
    let report = both("the server", 0, &["--source", "metadata"], &variables);
    assert!(has(&report, "connection", "ok"), "{report:#}");
}
