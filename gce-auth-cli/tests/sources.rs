//! Credentials from files, as other accounts, and within boundaries.
#![allow(clippy::unwrap_used, reason = "a test says with it what it expects")]

mod support;

use std::{
    fs,
    path::{Path, PathBuf},
};

use gce_auth_emulator::{Account, AdcKind, Emulator};
use serde_json::Value;
use support::{Ran, ask, emulator, gce_auth, run};

/// A directory for the files of one test.
fn folder(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&path);
    fs::create_dir_all(&path).unwrap();
    path
}

/// A credentials file of an emulator.
fn file(emulator: &Emulator, name: &str, kind: AdcKind) -> String {
    let path = emulator.write_adc(folder(name), kind).unwrap();
    path.to_str().unwrap().to_owned()
}

/// Runs with a file and its server trusted.
#[track_caller]
fn with_file(emulator: &Emulator, command: &[&str], file: &str) -> Ran {
    let host = emulator.addr().to_string();
    run(&[command, &["--source", file, "--trust-host", &host]].concat())
}

#[test]
fn every_kind_of_file_gives_access_tokens() {
    let emulator = emulator();
    for kind in AdcKind::ALL {
        let file = file(&emulator, &format!("access-{kind}"), kind);
        let token = with_file(&emulator, &["token", "--format", "json"], &file).value();
        let token: Value = serde_json::from_str(&token).unwrap();
        assert!(token["token"].as_str().unwrap().len() > 20, "{kind}");
        let headers = with_file(&emulator, &["headers"], &file).value();
        assert!(headers.starts_with("authorization: Bearer "), "{kind}");
        let info = with_file(&emulator, &["info", "--json"], &file).value();
        let info: Value = serde_json::from_str(&info).unwrap();
        assert!(info["token_expires_in"].as_u64().unwrap() > 3000, "{info}");
        assert!(
            info["source"].as_str().unwrap().starts_with(&file),
            "{info}"
        );
    }
}

#[test]
fn a_server_that_only_the_file_names_is_2_and_named() {
    let emulator = emulator();
    let file = file(&emulator, "untrusted", AdcKind::Impersonated);
    let line = run(&["token", "--source", &file]).failure(2);
    assert!(line.contains(&emulator.addr().to_string()), "{line}");
    assert!(emulator.requests().is_empty());
    let trusted = gce_auth(&["token", "--source", &file])
        .env("GCE_AUTH_TRUST_HOSTS", emulator.addr().to_string())
        .output();
    Ran::new(trusted.unwrap()).value();
}

#[test]
fn the_order_of_sources_is_that_of_every_sdk() {
    let emulator = emulator();
    let file = file(&emulator, "order", AdcKind::AuthorizedUser);
    let host = emulator.addr().to_string();
    let said = |arguments: &[&str], variables: &[(&str, &str)]| {
        let arguments = [&["token", "-v"], arguments].concat();
        let mut command = gce_auth(&arguments);
        command.env("GCE_AUTH_TRUST_HOSTS", &host);
        command.envs(variables.iter().copied());
        let ran = Ran::new(command.output().unwrap());
        (ran.code, ran.stderr)
    };
    let named = ("GOOGLE_APPLICATION_CREDENTIALS", file.as_str());
    let gcloud = Path::new(&file).parent().unwrap().to_str().unwrap();
    let login = ("CLOUDSDK_CONFIG", gcloud);
    let server = ("GCE_METADATA_HOST", host.as_str());
    for (arguments, variables, reason) in [
        (&[][..], &[named][..], "by GOOGLE_APPLICATION_CREDENTIALS"),
        (&[], &[login], "written by gcloud"),
        (
            &[],
            &[login, server],
            "the metadata server (by GCE_METADATA_HOST)",
        ),
        (
            &["--endpoint", &host],
            &[named, server],
            "the metadata server (by --endpoint)",
        ),
        (
            &["--source", "adc"],
            &[named, server],
            "by GOOGLE_APPLICATION_CREDENTIALS",
        ),
        (
            &["--source", "metadata"],
            &[named, server],
            "the metadata server (by --source)",
        ),
    ] {
        let (code, stderr) = said(arguments, variables);
        assert_eq!(code, Some(0), "{stderr}");
        assert!(stderr.contains(reason), "{reason}: {stderr}");
    }
    let (code, stderr) = said(&[], &[named, server]);
    assert_eq!(code, Some(2), "{stderr}");
    assert!(stderr.contains("--source"), "{stderr}");
    let (code, stderr) = said(&["--account", "other@x"], &[named]);
    assert_eq!(code, Some(2), "{stderr}");
    assert!(stderr.contains("--as"), "{stderr}");
}

#[test]
fn a_file_that_cannot_be_used_is_2() {
    let folder = folder("unusable");
    for (name, text) in [("empty", ""), ("list", "[]"), ("typeless", "{}")] {
        let path = folder.join(name);
        fs::write(&path, text).unwrap();
        let line = run(&["token", "--source", path.to_str().unwrap()]).failure(2);
        assert!(line.contains(name), "{line}");
    }
    let line = run(&["token", "--source", "no-such-file"]).failure(2);
    assert!(line.contains("no-such-file"), "{line}");
}

#[test]
fn a_wrong_option_is_2_and_is_named() {
    let emulator = emulator();
    let folder = folder("wrong-options");
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.join(name);
        fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (binary, list) = (write("binary", b"\xff\xfe{"), write("list", b"["));
    let key = file(&emulator, "wrong-key", AdcKind::ServiceAccount);
    let directory = folder.to_str().unwrap();
    let act = ["--as", TARGET];
    for (arguments, named) in [
        (&["--as", ""][..], "--as"),
        (&["--as", " "], "--as"),
        (&[&act[..], &["--delegates", ","]].concat(), "--delegates"),
        (
            &[&act[..], &["--delegates", "a@b.c,,d@e.f"]].concat(),
            "--delegates",
        ),
        (&[&act[..], &["--lifetime", "0"]].concat(), "--lifetime"),
        (&[&act[..], &["--lifetime", "0.5"]].concat(), "--lifetime"),
        (&[&act[..], &["--lifetime", "13h"]].concat(), "--lifetime"),
        (&[&act[..], &["--lifetime", "43201"]].concat(), "43200"),
        (&["--boundary", "no-such-file"], "no-such-file"),
        (&["--boundary", directory], directory),
        (&["--boundary", &binary], &binary),
        (&["--boundary", &list], &list),
        (&["--boundary", &key], &key),
        (&["--source", "no-such-file"], "no-such-file"),
        (&["--source", directory], directory),
        (&["--source", &binary], &binary),
        (
            &["--source", &key, "--trust-host", "http://x/y"],
            "http://x/y",
        ),
        (&["--source", &key, "--trust-host", ""], "host"),
    ] {
        let ran = ask(emulator.addr(), &[&["token"], arguments].concat());
        assert_eq!(ran.code, Some(2), "{arguments:?} {ran:?}");
        assert!(ran.stderr.contains(named), "{arguments:?} {ran:?}");
        assert_eq!(ran.stdout, "", "{arguments:?}");
    }
    assert!(
        emulator
            .requests()
            .iter()
            .all(|request| request.path != "/token")
    );
}

#[test]
fn a_login_that_is_no_longer_valid_is_5() {
    let emulator = emulator();
    let file = file(&emulator, "revoked", AdcKind::AuthorizedUser);
    let mut document: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    document["refresh_token"] = "1//another".into();
    fs::write(&file, document.to_string()).unwrap();
    let line = with_file(&emulator, &["token"], &file).failure(5);
    assert!(line.contains("invalid_grant"), "{line}");
    assert!(!line.contains("1//another"), "{line}");
}

const CALLER: &str = "caller@p.iam.gserviceaccount.com";
const MIDDLE: &str = "middle@p.iam.gserviceaccount.com";
const TARGET: &str = "target@p.iam.gserviceaccount.com";

#[test]
fn a_command_acts_as_another_account() {
    let emulator = Emulator::builder()
        .account(Account::new(CALLER))
        .account(Account::new(MIDDLE))
        .account(Account::new(TARGET))
        .start()
        .unwrap();
    let url = emulator.url();
    let act = |command: &[&str], more: &[&str]| {
        let act = ["--as", TARGET, "--iam-endpoint", &url];
        ask(emulator.addr(), &[command, &act, more].concat())
    };
    let short = act(&["token", "--format", "json"], &["--lifetime", "600"]).value();
    let short: Value = serde_json::from_str(&short).unwrap();
    assert!(
        (500..=600).contains(&short["expires_in"].as_u64().unwrap()),
        "{short}"
    );
    act(&["token"], &["--delegates", MIDDLE]).value();
    let info = act(&["info", "--json"], &[]).value();
    assert!(info.contains(TARGET), "{info}");

    let token = act(&["id-token", "--audience", "https://a.example"], &[]).value();
    let headers = act(&["headers", "--audience", "https://a.example"], &[]).value();
    let keys = format!("{url}/oauth2/v3/certs");
    for token in [
        token.trim(),
        headers
            .trim()
            .strip_prefix("authorization: Bearer ")
            .unwrap(),
    ] {
        let verify = [
            "verify",
            "--audience",
            "https://a.example",
            "--jwks-url",
            &keys,
        ];
        let claims = support::feed(&verify, "", token.as_bytes()).value();
        assert!(claims.contains(TARGET), "{claims}");
    }
    let gone = ask(
        emulator.addr(),
        &[
            "token",
            "--as",
            "gone@p.iam.gserviceaccount.com",
            "--iam-endpoint",
            "http://127.0.0.1:1",
        ],
    );
    gone.failure(3);
    for alone in [["--lifetime", "600"], ["--delegates", MIDDLE]] {
        let ran = ask(emulator.addr(), &[&["token"][..], &alone].concat());
        assert_eq!(ran.code, Some(2), "{ran:?}");
    }
}

#[test]
fn a_token_is_limited_by_a_boundary() {
    let emulator = emulator();
    let path = folder("boundary").join("boundary.json");
    let rule = r#"{"availableResource": "//storage.googleapis.com/projects/_/buckets/b",
        "availablePermissions": ["inRole:roles/storage.objectViewer"]}"#;
    let document = format!(r#"{{"accessBoundary": {{"accessBoundaryRules": [{rule}]}}}}"#);
    fs::write(&path, document).unwrap();
    let exchange = format!("{}/v1/token", emulator.url());
    let limited = [
        "token",
        "--boundary",
        path.to_str().unwrap(),
        "--sts-endpoint",
        &exchange,
    ];
    let limited = ask(emulator.addr(), &limited).value();
    let full = ask(emulator.addr(), &["token"]).value();
    assert_ne!(limited, full);
    assert!(
        emulator
            .requests()
            .iter()
            .any(|request| request.path.contains("/v1/token"))
    );

    fs::write(&path, "{}").unwrap();
    let wrong = ["token", "--boundary", path.to_str().unwrap()];
    ask(emulator.addr(), &wrong).failure(2);
}

#[test]
fn files_give_id_tokens_and_signatures_if_their_kind_can() {
    let emulator = emulator();
    let key = file(&emulator, "key-identity", AdcKind::ServiceAccount);
    let id_token = ["id-token", "--audience", "https://a.example"];
    let token = with_file(&emulator, &id_token, &key).value();
    assert_eq!(token.matches('.').count(), 2, "{token}");
    let user = file(&emulator, "user-identity", AdcKind::AuthorizedUser);
    let line = with_file(&emulator, &id_token, &user).failure(1);
    assert!(line.contains("no ID tokens"), "{line}");
    let standard = [&id_token[..], &["--standard"]].concat();
    with_file(&emulator, &standard, &key).failure(2);

    emulator.clear_requests();
    let document = folder("signed").join("document");
    fs::write(&document, "to be signed").unwrap();
    let sign = ["sign", document.to_str().unwrap()];
    let signature = with_file(&emulator, &sign, &key).value();
    assert_eq!(signature.trim().len(), 344, "{signature}");
    assert!(emulator.requests().is_empty(), "the key signs without IAM");
    let url = with_file(&emulator, &["sign-url", "gs://bucket/object"], &key).value();
    assert!(url.contains("X-Goog-Signature="), "{url}");
}
