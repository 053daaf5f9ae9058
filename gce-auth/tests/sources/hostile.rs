//! Files from somebody else: nothing is sent, and the error names the file's
//! member and the remedy.

use gce_auth::{DefaultOptions, ErrorKind};
use gce_auth_emulator::Emulator;
use serde_json::{Value, json};

use crate::files::Files;

const ELSEWHERE: &str = "https://evil.example/v1/token";

#[test]
fn secrets_go_to_no_server_that_only_the_file_names() {
    let files = Files::new(Emulator::builder().start().unwrap());
    let plain = format!("{}/token", files.emulator.url());
    let impersonation =
        "https://evil.example/v1/projects/-/serviceAccounts/a@b:generateAccessToken";
    let cases: [(&str, &str, Value); 9] = [
        ("service_account", "token_uri", ELSEWHERE.into()),
        ("service_account", "token_uri", plain.into()),
        (
            "service_account",
            "token_uri",
            "https://oauth2.googleapis.com@evil.example/".into(),
        ),
        ("service_account", "universe_domain", "evil.example".into()),
        ("a server", "token_url", ELSEWHERE.into()),
        ("a server", "universe_domain", "evil.example".into()),
        (
            "a server",
            "service_account_impersonation_url",
            impersonation.into(),
        ),
        (
            "external_account_authorized_user",
            "token_url",
            ELSEWHERE.into(),
        ),
        (
            "a key that acts as an account",
            "service_account_impersonation_url",
            impersonation.into(),
        ),
    ];
    for (name, member, value) in cases {
        let mut file = files
            .all()
            .into_iter()
            .find(|file| file.name == name)
            .unwrap();
        // What is not tested is Google's.
        for google in ["token_uri", "token_url"] {
            if file.document[google].is_string() {
                file.document[google] = "https://sts.googleapis.com/v1/token".into();
            }
        }
        if let Some(source) = file.document["source_credentials"].as_object_mut() {
            source.insert(
                "token_uri".to_owned(),
                json!("https://oauth2.googleapis.com/token"),
            );
        }
        file.document[member] = value;
        let loaded = DefaultOptions::new().load_json(&file.document.to_string());
        let error = loaded.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{name}: {error}");
        let said = error.to_string();
        assert!(said.contains(&format!("`{member}`")), "{name}: {said}");
        assert!(
            error.hint().is_some_and(|hint| !hint.is_empty()) || said.contains("user name"),
            "{name}: {said}"
        );
        for secret in ["PRIVATE KEY", "refresh"] {
            assert!(!said.contains(secret), "{said}");
        }
    }
    assert_eq!(files.emulator.requests(), []);
}

#[cfg(unix)]
#[test]
fn an_output_file_that_others_may_write_is_not_believed() {
    use std::{fs, os::unix::fs::PermissionsExt as _};

    let files = Files::new(Emulator::builder().start().unwrap());
    let file = files.executable();
    files.load(&file).unshared().blocking_refresh().unwrap();
    let program = &file.document["credential_source"]["executable"];
    let output = program["output_file"].as_str().unwrap().to_owned();
    fs::set_permissions(&output, fs::Permissions::from_mode(0o666)).unwrap();
    let error = files.load(&file).unshared().blocking_token().unwrap_err();
    let said = error.to_string();
    assert!(said.contains(&output), "{said}");
    assert!(
        said.contains("other users") && said.contains("umask"),
        "{said}"
    );
    assert_eq!(files.runs(), 1, "nothing more was run");
}

#[test]
fn a_redirect_of_the_credential_source_is_not_followed() {
    let files = Files::new(Emulator::builder().start().unwrap());
    let mut file = files
        .all()
        .into_iter()
        .find(|file| file.name == "a server")
        .unwrap();
    // The emulator answers a folder without its slash with a redirect.
    let url = format!("{}/computeMetadata/v1/instance", files.emulator.url());
    file.document["credential_source"] =
        json!({"url": url, "headers": {"Metadata-Flavor": "Google"}});
    let error = files.load(&file).blocking_token().unwrap_err();
    assert_eq!(error.status(), Some(301), "{error}");
    assert_eq!(
        files
            .emulator
            .request_count("/computeMetadata/v1/instance/"),
        0
    );
    assert_eq!(files.emulator.request_count("/v1/token"), 0);
}
