//! Workforce pools: people of another provider, and the project that is billed for them.

use std::fs;

use gce_auth::{CredentialsKind, ErrorKind};
use gce_auth_emulator::{Emulator, Provider, User};
use serde_json::{Value, json};

use crate::files::{self, Files};

const POOL: &str = "locations/global/workforcePools/people";
const ISSUER: &str = "https://accounts.google.com";

/// An emulator whose workforce pool trusts the emulator's own issuer.
fn files(user: User) -> Files {
    let provider = Provider::oidc(format!("{POOL}/providers/okta"), ISSUER);
    let builder = Emulator::builder().provider(provider).user(user);
    Files::new(builder.start().unwrap())
}

fn ada() -> User {
    User::new(
        "ada@example.com",
        "client",
        "client secret",
        "refresh token",
    )
}

/// The file of `gcloud iam workforce-pools create-cred-config` for this token.
fn document(files: &Files, subject: &str) -> Value {
    let path = files.place("subject");
    fs::write(&path, subject).unwrap();
    json!({
        "type": "external_account",
        "audience": format!("//iam.googleapis.com/{POOL}/providers/okta"),
        "subject_token_type": "urn:ietf:params:oauth:token-type:id_token",
        "token_url": format!("{}/v1/token", files.emulator.url()),
        "credential_source": {"file": path},
        "workforce_pool_user_project": "billed-project",
    })
}

#[test]
fn a_person_of_a_workforce_pool_is_who_the_token_says() {
    let files = files(ada());
    let subject = files.subject_for(&format!("https://iam.googleapis.com/{POOL}/providers/okta"));
    let document = document(&files, &subject).to_string();
    let loaded = files.options().load_json(&document).unwrap();
    let credentials = loaded.credentials;
    assert_eq!(credentials.kind(), CredentialsKind::ExternalAccount);
    let file = credentials.file().unwrap();
    assert!(file.is_workforce_pool() && file.is_user());
    let token = credentials.blocking_token().unwrap();
    let said = files.token_info(token.secret());
    let sub = files::claims(&subject)["sub"].as_str().unwrap().to_owned();
    let principal = format!("principal://iam.googleapis.com/{POOL}/subject/{sub}");
    assert_eq!(said["principal"], principal);
}

#[test]
fn a_token_for_another_provider_is_refused() {
    let files = files(ada());
    let subject = files.subject_for(&format!(
        "https://iam.googleapis.com/{POOL}/providers/other"
    ));
    let document = document(&files, &subject);
    let load = |document: &Value| {
        let loaded = files
            .options()
            .shared(false)
            .load_json(&document.to_string());
        loaded.map(|loaded| loaded.credentials)
    };
    let error = load(&document).unwrap().blocking_token().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused, "{error}");
    assert!(
        error
            .to_string()
            .contains("does not match the expected audience"),
        "{error}"
    );
    assert!(!error.to_string().contains(&subject));
    let with = |name: &str, value: &str| {
        let mut document = document.clone();
        document[name] = value.into();
        load(&document)
    };
    // Only people have a project to bill.
    let workload =
        "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/q";
    let error = with("audience", workload).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    assert!(
        error.to_string().contains("workforce_pool_user_project"),
        "{error}"
    );
}

#[test]
fn a_person_who_logged_in_is_known_by_the_refresh_token() {
    let files = files(ada());
    let login = |secret: &str, refresh_token: &str| {
        let document = json!({
            "type": "external_account_authorized_user",
            "audience": format!("//iam.googleapis.com/{POOL}/providers/okta"),
            "client_id": "client", "client_secret": secret, "refresh_token": refresh_token,
            "token_url": format!("{}/v1/oauthtoken", files.emulator.url()),
        });
        let loaded = files
            .options()
            .shared(false)
            .load_json(&document.to_string());
        loaded.unwrap().credentials.blocking_token()
    };
    let token = login("client secret", "refresh token").unwrap();
    assert_eq!(files.token_info(token.secret())["email"], "ada@example.com");
    for (secret, refresh_token, code) in [
        ("other", "refresh token", "invalid_client"),
        ("client secret", "other", "invalid_grant"),
    ] {
        let error = login(secret, refresh_token).unwrap_err();
        assert!(error.to_string().contains(code), "{error}");
        assert!(!error.is_retryable(), "{error}");
    }
}
