//! Values on standard output, and nothing else anywhere.

#![allow(clippy::unwrap_used, reason = "a test says with it what it expects")]

mod support;

use std::process::Stdio;

use gce_auth_emulator::{Account, Emulator};
use support::{Ran, ask, emulator, gce_auth, run};

#[test]
fn a_token_is_a_line_on_standard_output() {
    let emulator = emulator();
    let token = ask(emulator.addr(), &["token"]).value();
    assert!(token.starts_with("ya29."), "{token}");
    assert_eq!(token.matches('\n').count(), 1);
    assert!(token.ends_with('\n'));
}

#[test]
fn an_endpoint_beats_the_environment() {
    let (chosen, other) = (emulator(), emulator());
    let endpoint = chosen.addr().to_string();
    ask(other.addr(), &["token", "--endpoint", &endpoint]).value();
    assert!(other.requests().is_empty());
    assert!(!chosen.requests().is_empty());
}

#[test]
fn a_token_has_the_form_that_is_asked_for() {
    let emulator = emulator();
    let token = ask(emulator.addr(), &["token"]).value();
    let token = token.trim();
    let print = |format: &str| ask(emulator.addr(), &["token", "--format", format]).value();
    assert_eq!(print("text"), format!("{token}\n"));
    assert_eq!(print("header"), format!("Authorization: Bearer {token}\n"));
    assert_eq!(
        print("curl"),
        format!("header = \"Authorization: Bearer {token}\"\n")
    );
    assert_eq!(
        print("env"),
        format!("GOOGLE_OAUTH_ACCESS_TOKEN={token}\nCLOUDSDK_AUTH_ACCESS_TOKEN={token}\n")
    );
    assert_eq!(
        print("export"),
        format!(
            "export GOOGLE_OAUTH_ACCESS_TOKEN={token}\nexport CLOUDSDK_AUTH_ACCESS_TOKEN={token}\n"
        )
    );
    let json: serde_json::Value = serde_json::from_str(&print("json")).unwrap();
    assert_eq!(json["token"], token);
    assert_eq!(json["token_type"], "Bearer");
    let left = json["expires_in"].as_u64().unwrap();
    assert!((3500..=3600).contains(&left), "{left}");
    assert!(json["expires_at"].as_str().unwrap().ends_with('Z'));
}

#[test]
fn scopes_are_asked_for_by_their_full_name() {
    let emulator = emulator();
    ask(
        emulator.addr(),
        &["token", "--scopes", "devstorage.read_only,openid"],
    )
    .value();
    let query = emulator.requests()[0].query.clone();
    assert!(
        query.contains("auth%2Fdevstorage.read_only")
            || query.contains("auth/devstorage.read_only"),
        "{query}"
    );
    assert!(query.contains("openid"), "{query}");
}

#[test]
fn another_account_has_another_token() {
    let other = "other@p.iam.gserviceaccount.com";
    let emulator = Emulator::builder()
        .account(Account::new("first@p.iam.gserviceaccount.com"))
        .account(Account::new(other))
        .start()
        .unwrap();
    let first = ask(emulator.addr(), &["token"]).value();
    let second = ask(emulator.addr(), &["token", "--account", other]).value();
    assert_ne!(first, second);
}

#[test]
fn an_id_token_is_for_its_audience() {
    let emulator = emulator();
    let arguments = ["id-token", "--audience", "https://a.example"];
    let full = ask(emulator.addr(), &arguments).value();
    assert_eq!(full.matches('.').count(), 2);
    let standard = ask(emulator.addr(), &[&arguments[..], &["--standard"]].concat()).value();
    assert!(standard.len() < full.len());
    ask(emulator.addr(), &[&arguments[..], &["--licenses"]].concat()).value();
    let queries: Vec<_> = emulator.requests().into_iter().map(|r| r.query).collect();
    assert!(queries[0].contains("format=full"), "{queries:?}");
    assert!(!queries[1].contains("format=full"), "{queries:?}");
    assert!(
        queries[2].to_lowercase().contains("licenses=true"),
        "{queries:?}"
    );
}

#[test]
fn values_are_printed_as_they_are() {
    let emulator = Emulator::builder()
        .set("instance/attributes/script", "#!/bin/sh\necho hi\n")
        .set("instance/attributes/word", "word")
        .start()
        .unwrap();
    let get = |arguments: &[&str]| ask(emulator.addr(), arguments).value();
    let script = "instance/attributes/script";
    assert_eq!(get(&["get", script]), "#!/bin/sh\necho hi\n");
    assert_eq!(get(&["get", "instance/attributes/word"]), "word\n");
    assert_eq!(get(&["get", "--exact", "instance/attributes/word"]), "word");
    assert_eq!(
        get(&["get", "/computeMetadata/v1/instance/attributes/word"]),
        "word\n"
    );
    let listed = get(&["get", "instance/attributes"]);
    assert!(listed.lines().any(|key| key == "script"), "{listed}");
    let all = get(&["get", "--recursive", "instance/attributes/"]);
    let all: serde_json::Value = serde_json::from_str(&all).unwrap();
    assert_eq!(all["word"], "word");
}

#[test]
fn verbose_tells_much_and_no_secret() {
    let emulator = emulator();
    for command in [
        &["token", "-v"][..],
        &["id-token", "--audience", "https://a.example", "--verbose"],
    ] {
        let ran = ask(emulator.addr(), command);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        assert!(ran.stderr.contains(&emulator.addr().to_string()), "{ran:?}");
        let token = ran.stdout.trim();
        for part in token.split('.').filter(|part| part.len() > 4) {
            assert!(!ran.stderr.contains(part), "{ran:?}");
        }
    }
}

#[test]
fn a_reader_that_went_away_is_no_failure() {
    let emulator = emulator();
    for command in [
        &["token"][..],
        &["get", "--recursive", "instance/"],
        &["demo"],
        &["--help"],
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = gce_auth(command)
            .env("GCE_METADATA_HOST", emulator.addr().to_string())
            .stdout(Stdio::from(writer))
            .output()
            .unwrap();
        let ran = Ran::new(output);
        assert_eq!(ran.code, Some(0), "{command:?} {ran:?}");
        assert_eq!(ran.stderr, "");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_a_failure() {
    let emulator = emulator();
    let full = std::fs::OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let output = gce_auth(&["token"])
        .env("GCE_METADATA_HOST", emulator.addr().to_string())
        .stdout(Stdio::from(full))
        .output()
        .unwrap();
    let line = Ran::new(output).failure(1);
    assert!(
        line.starts_with("cannot write to standard output"),
        "{line}"
    );
}

#[test]
fn no_colours_where_nobody_looks() {
    let ran = run(&["demo"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(!ran.stdout.contains('\x1b') && !ran.stderr.contains('\x1b'));
}

#[test]
fn a_password_in_an_address_is_never_shown() {
    for host in ["user:secret@host", "http://user:secret@host/"] {
        for arguments in [
            &["token"][..],
            &["get", "instance/id"],
            &["token", "--endpoint", host],
            &[
                "sign",
                "/dev/null",
                "--endpoint",
                "h",
                "--iam-endpoint",
                "https://user:secret@host",
            ],
            &["doctor"],
        ] {
            let output = gce_auth(arguments).env("GCE_METADATA_HOST", host).output();
            let ran = Ran::new(output.unwrap());
            assert_eq!(ran.code, Some(2), "{arguments:?} {ran:?}");
            assert!(format!("{ran:?}").contains("[redacted]@host"), "{ran:?}");
            assert!(
                !format!("{ran:?}").contains("secret"),
                "{arguments:?} {ran:?}"
            );
        }
    }
}
