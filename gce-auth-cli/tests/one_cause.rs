//! One exit code for one cause, whichever command meets it: no source 3, a bad
//! file or host 2, `invalid_grant` and 403 5.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test says with it what it expects")]

mod support;

use gce_auth_emulator::{AdcKind, Emulator, Fault};
use serde_json::{Value, json};
use support::{Ran, closed_port, emulator, folder::Folder, gce_auth};

/// Every command that takes credentials from a source, with what it needs.
const COMMANDS: [&[&str]; 7] = [
    &["token"],
    &["doctor", "--json"],
    &["id-token", "--audience", "https://a.example"],
    &["headers"],
    &["headers", "--audience", "https://a.example"],
    &["sign", "Cargo.toml"],
    &["sign-url", "gs://bucket/object"],
];

/// Runs every command with these arguments and variables.
#[track_caller]
fn each(cause: &str, code: i32, arguments: &[&str], variables: &[(&str, &str)]) {
    for command in COMMANDS {
        // What is repeated in vain ends with the timeout.
        let timeout = if code == 3 { "0.6" } else { "20" };
        let arguments = [command, &["--timeout", timeout], arguments].concat();
        let mut started = gce_auth(&arguments);
        let ran = started.envs(variables.iter().copied()).output().unwrap();
        let ran = Ran::new(ran);
        assert_eq!(ran.code, Some(code), "{cause}: {command:?}: {ran:?}");
    }
}

fn document(emulator: &Emulator, kind: AdcKind) -> Value {
    serde_json::from_str(&emulator.adc(kind).unwrap()).unwrap()
}

/// A user who acts as an account: what this file leads to has tokens, ID tokens
/// and signatures.
fn acting_user(emulator: &Emulator) -> Value {
    let mut acting = document(emulator, AdcKind::Impersonated);
    acting["source_credentials"] = document(emulator, AdcKind::AuthorizedUser);
    acting
}

#[test]
fn without_any_source_it_is_3() {
    let nowhere = ("METADATA_SERVER_DETECTION", "none");
    each("no source", 3, &[], &[nowhere]);
    let closed = closed_port().to_string();
    each("no server", 3, &[], &[("GCE_METADATA_HOST", &closed)]);
}

#[test]
fn with_a_bad_file_or_host_it_is_2() {
    let emulator = emulator();
    let host = emulator.addr().to_string();
    let folder = Folder::new("one-cause-files");
    let user = document(&emulator, AdcKind::AuthorizedUser);
    let without = |member: &str| {
        let mut user = user.clone();
        user.as_object_mut().unwrap().remove(member);
        user.to_string()
    };
    let mut hostile = document(&emulator, AdcKind::ServiceAccount);
    hostile["token_uri"] = "https://attacker.example/token".into();
    let mut of_a_file = document(&emulator, AdcKind::ExternalAccount);
    of_a_file["credential_source"] = json!({"file": folder.write("subject", "")});
    let mut of_no_file = of_a_file.clone();
    of_no_file["credential_source"] = json!({"file": "/no/such/subject"});
    let mut acts = acting_user(&emulator);
    acts["service_account_impersonation_url"] = "https://attacker.example/v1/x".into();
    let files = [
        ("absent", "/no/such/file".to_owned()),
        ("a directory", folder.to_str().unwrap().to_owned()),
        ("empty", folder.write("empty", "")),
        ("no JSON", folder.write("no-json", "{")),
        ("a list", folder.write("list", "[]")),
        ("no type", folder.write("typeless", "{}")),
        (
            "another type",
            folder.write("type", r#"{"type": "gdch_service_account"}"#),
        ),
        (
            "no member",
            folder.write("memberless", &without("refresh_token")),
        ),
        (
            "no host of Google's",
            folder.write("host", &hostile.to_string()),
        ),
        ("no IAM of Google's", folder.write("iam", &acts.to_string())),
    ];
    for (cause, file) in &files {
        let named = ("GOOGLE_APPLICATION_CREDENTIALS", &**file);
        let trusted = ("GCE_AUTH_TRUST_HOSTS", &*host);
        each(cause, 2, &[], &[named, trusted]);
        each(cause, 2, &["--source", file], &[trusted]);
    }
    each("no host", 2, &["--endpoint", "a b"], &[]);
    each("no host", 2, &[], &[("GCE_METADATA_HOST", "a b")]);
    // What the file leads to is no better than the file.
    for subject in [of_a_file, of_no_file] {
        let file = folder.write("leads", &subject.to_string());
        let named = ("GOOGLE_APPLICATION_CREDENTIALS", &*file);
        let trusted = ("GCE_AUTH_TRUST_HOSTS", &*host);
        for command in [&["token"][..], &["doctor"], &["headers"]] {
            let mut started = gce_auth(command);
            let ran = started.envs([named, trusted]).output().unwrap();
            let ran = Ran::new(ran);
            assert_eq!(ran.code, Some(2), "{command:?}: {ran:?}");
        }
    }
}

#[test]
fn with_an_invalid_grant_or_403_it_is_5() {
    let emulator = emulator();
    let host = emulator.addr().to_string();
    let folder = Folder::new("one-cause-refused");
    let trusted = ("GCE_AUTH_TRUST_HOSTS", &*host);
    let mut revoked = acting_user(&emulator);
    revoked["source_credentials"]["refresh_token"] = "1//another".into();
    let file = folder.write("revoked", &revoked.to_string());
    let named = ("GOOGLE_APPLICATION_CREDENTIALS", &*file);
    each("invalid_grant", 5, &[], &[named, trusted]);

    let refusal = Fault::Status {
        code: 403,
        retry_after: None,
    };
    for path in ["/v1/projects/-/serviceAccounts/", "/token"] {
        emulator.fail_next(path, usize::MAX, refusal.clone());
        let file = folder.write("acting", &acting_user(&emulator).to_string());
        let named = ("GOOGLE_APPLICATION_CREDENTIALS", &*file);
        each(&format!("403 of {path}"), 5, &[], &[named, trusted]);
        emulator.heal();
    }
    let path = "instance/service-accounts/";
    emulator.fail_next(path, usize::MAX, refusal);
    each("403", 5, &[], &[("GCE_METADATA_HOST", &host)]);
}
