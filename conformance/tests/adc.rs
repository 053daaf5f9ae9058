//! google-auth for Python with each kind of credentials file that the emulator writes, against the
//! emulator's STS, OAuth and IAM in strict mode: tokens, boundaries and errors are what the library
//! takes for Google's. So it is once more under `gce-auth exec --agent`, whose source the emulator
//! is.

mod foreign;

use std::{fs, path::Path};

use gce_auth_conformance::interop::{self, Client, Judge, machine};
use gce_auth_emulator::{AdcKind, Emulator, User};
use serde_json::{Value, json};

const TARGET: &str = "target@interop-project.iam.gserviceaccount.com";
const DELEGATE: &str = "delegate@interop-project.iam.gserviceaccount.com";

#[test]
fn google_auth_takes_each_file_and_each_error_for_google_s() {
    let Some(client) = interop::ready_or_skip(interop::python(foreign::target(), "adc.py")) else {
        return;
    };
    for client in foreign::without_and_with_agent(client) {
        takes_each_file_and_each_error(&client);
    }
}

fn takes_each_file_and_each_error(client: &Client) {
    let pool = format!(
        "iam.googleapis.com/projects/{}/locations/global/workloadIdentityPools/emulator",
        machine::NUMBER
    );
    let emulator = foreign::emulator()
        .set("universe/universe-domain", "googleapis.com")
        .strict(true)
        .user(User::new("ada@example.com", "client", "secret", "1//ada"))
        .user(User::new("eve@example.com", "client", "secret", "1//eve").reauthentication("proof"))
        .service_account(TARGET)
        .service_account(DELEGATE)
        .impersonation(format!("principalSet://{pool}/*"), DELEGATE)
        .impersonation(DELEGATE, TARGET)
        .impersonation(machine::EMAIL, "*")
        .start()
        .expect("an emulator starts");
    let folder = files(&emulator, "python");
    let seen = foreign::run(
        client,
        &emulator,
        &[
            ("EMULATOR_URL", emulator.url()),
            ("ADC_FOLDER", folder),
            ("TARGET", TARGET.to_owned()),
            // As google-auth's users write delegates in programs of Google's samples.
            ("DELEGATE", format!("projects/-/serviceAccounts/{DELEGATE}")),
            ("REAUTH", "1//eve".to_owned()),
        ],
    );

    let mut judge = Judge::new("Python, credentials files", &seen);
    judge.library("google-auth");
    for (kind, class, who, project) in [
        (
            "authorized_user",
            "Credentials",
            Some("ada@example.com"),
            Value::Null,
        ),
        (
            "service_account",
            "Credentials",
            Some(machine::EMAIL),
            json!(machine::PROJECT),
        ),
        ("impersonated", "Credentials", Some(TARGET), Value::Null),
    ] {
        let step = seen.step(kind);
        judge
            .finds(kind, &step["type"], class)
            .finds(kind, &step["valid"], true)
            .finds(kind, &step["fresh"], true)
            .finds(kind, &step["who"], who)
            .finds(kind, &step["project"], project);
    }
    // In strict mode tokeninfo knows no federated tokens, as Google's does not.
    let external = seen.step("external_account");
    judge
        .finds("external account", &external["type"], "Credentials")
        .finds("external account", &external["valid"], true)
        .finds("external account", &external["project"], machine::PROJECT);
    judge
        .finds(
            "ID token",
            &seen.step("id_token")["claims"]["email"],
            TARGET,
        )
        .finds(
            "ID token",
            &seen.step("id_token")["claims"]["aud"],
            machine::AUDIENCE,
        )
        .finds("downscoped", &seen.step("downscoped")["valid"], true)
        .finds("downscoped", &seen.step("downscoped")["inside"], 200)
        .finds("downscoped", &seen.step("downscoped")["outside"], 403)
        .finds("downscoped", &seen.step("downscoped")["written"], 403);
    for (step, error, part) in [
        ("beyond_the_boundary", "RefreshError", "PERMISSION_DENIED"),
        (
            "unknown_refresh_token",
            "RefreshError",
            "invalid_grant: Bad Request",
        ),
        ("wrong_secret", "RefreshError", "invalid_client"),
        (
            "without_proof",
            "RefreshError",
            "Reauthentication is needed",
        ),
        (
            "without_grant",
            "RefreshError",
            "iam.serviceAccounts.getAccessToken",
        ),
        (
            "revoked",
            "RefreshError",
            "Token has been expired or revoked.",
        ),
    ] {
        let found = seen.step(step);
        judge.finds(step, &found["error"], error);
        let text = found["text"].as_str().unwrap_or_default();
        assert!(text.contains(part), "{step}: {text}");
    }
    let key = seen.step("service_account");
    judge.finds("access token", &key["who"], machine::EMAIL);
    judge.finds("revocation", &seen.step("revoked")["status"], 200);
    for path in [
        "/token",
        "/v1/token",
        &format!("/v1/projects/{}", machine::NUMBER),
        "/revoke",
    ] {
        assert_ne!(emulator.request_count(path), 0, "{path}");
    }
    judge.verdict();
}

#[test]
fn go_s_auth_gets_tokens_with_the_files_whose_addresses_it_honours() {
    let Some(client) = interop::ready_or_skip(interop::go(foreign::target())) else {
        return;
    };
    for client in foreign::without_and_with_agent(client) {
        gets_tokens_with_files(&client);
    }
}

fn gets_tokens_with_files(client: &Client) {
    let emulator = foreign::emulator()
        .set("universe/universe-domain", "googleapis.com")
        .service_account(TARGET)
        .start()
        .expect("an emulator starts");
    let folder = files(&emulator, "go");
    let kinds = "service_account impersonated external_account".to_owned();
    let seen = foreign::run(
        client,
        &emulator,
        &[("ADC_FOLDER", folder), ("ADC_KINDS", kinds)],
    );
    let mut judge = Judge::new("Go, credentials files", &seen);
    judge.library("cloud.google.com/go/auth");
    let principal = format!(
        "principal://iam.googleapis.com/projects/{}/locations/global/workloadIdentityPools/emulator/subject/",
        machine::NUMBER
    );
    for (kind, email) in [
        ("service_account", Some(machine::EMAIL)),
        ("impersonated", Some(TARGET)),
        ("external_account", None),
    ] {
        let step = seen.step(kind);
        let left = step["seconds_left"].as_i64().unwrap_or_default();
        judge.finds(kind, &step["info"]["email"], email).holds(
            "access token",
            (1..=3600).contains(&left),
            || format!("{kind}: {left} s left"),
        );
        let who = step["info"]["principal"].as_str().unwrap_or_default();
        assert_eq!(
            who.starts_with(&principal),
            email.is_none(),
            "{kind}: {who}"
        );
    }
    judge.verdict();
}

/// Writes a file of each kind, and returns their folder.
fn files(emulator: &Emulator, language: &str) -> String {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("adc-{language}"));
    fs::create_dir_all(&folder).expect("the target folder can be written");
    for kind in AdcKind::ALL {
        let text = emulator.adc(kind).expect("there is an account");
        fs::write(folder.join(format!("{kind}.json")), text).expect("the folder was made");
    }
    folder.to_string_lossy().into_owned()
}
