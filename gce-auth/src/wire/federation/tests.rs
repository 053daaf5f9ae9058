use std::time::Duration;

use http::StatusCode;
use serde_json::Value;

use super::*;
use crate::wire::credentials_file::{self, Document};

fn account(change: impl FnOnce(&mut Value)) -> ExternalAccount {
    let mut file = serde_json::json!({
        "type": "external_account",
        "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/q",
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": "https://sts.googleapis.com/v1/token",
        "credential_source": {"file": "/t"},
    });
    change(&mut file);
    match credentials_file::read("f", file.to_string().as_bytes()).unwrap() {
        Document::ExternalAccount(account) => account,
        other => panic!("{other:?}"),
    }
}

fn sent(account: &ExternalAccount, scopes: &[String]) -> (String, http::HeaderMap) {
    let token = SecretText::new("subject");
    let request = exchange(account, &account.token_url, &token, scopes).unwrap();
    let (parts, body) = request.into_parts();
    (String::from_utf8(body).unwrap(), parts.headers)
}

#[test]
fn an_exchange_says_for_whom_and_of_what_kind() {
    let (body, headers) = sent(&account(|_| {}), &["a".into(), "b".into()]);
    assert!(body.starts_with(
        "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange&audience="
    ));
    assert!(body.contains("&scope=a%20b&"));
    assert!(body.contains("&subject_token=subject&subject_token_type=urn"));
    assert!(!body.contains("options"));
    let metrics = headers["x-goog-api-client"].to_str().unwrap();
    let kind = "google-byoid-sdk sa-impersonation/false config-lifetime/false source/file";
    assert!(metrics.ends_with(kind), "{metrics}");
    assert!(!headers.contains_key("authorization"));
}

#[test]
fn a_client_stands_in_place_of_the_user_project() {
    let workforce = |client: bool| {
        account(|file| {
            file["audience"] =
                "//iam.googleapis.com/locations/global/workforcePools/p/providers/q".into();
            file["workforce_pool_user_project"] = "12".into();
            if client {
                file["client_id"] = "c".into();
            }
        })
    };
    let (body, _) = sent(&workforce(false), &[]);
    assert!(
        body.ends_with("&options=%7B%22userProject%22%3A%2212%22%7D"),
        "{body}"
    );
    let (body, headers) = sent(&workforce(true), &[]);
    assert!(!body.contains("options"));
    assert_eq!(headers["authorization"], "Basic Yzo=");
    assert!(headers["authorization"].is_sensitive());
}

#[test]
fn a_workforce_user_may_be_given_another_refresh_token() {
    let renewal = Renewal {
        token_url: "https://sts.googleapis.com/v1/oauthtoken",
        client_id: "c",
        client_secret: &SecretText::new("s"),
        refresh_token: &SecretText::new("r"),
    };
    let request = refresh(renewal, renewal.token_url, renewal.refresh_token).unwrap();
    assert_eq!(request.headers()["authorization"], "Basic Yzpz");
    assert_eq!(request.body(), b"grant_type=refresh_token&refresh_token=r");
    let body = br#"{"access_token":"t","expires_in":60,"refresh_token":"r2"}"#;
    let mut response = Response::new(body.to_vec());
    *response.status_mut() = StatusCode::OK;
    let now = Now::new(Duration::from_secs(1000), Duration::from_secs(1));
    let (token, next) = refreshed(response, now).unwrap();
    assert_eq!(token.unwrap().value().token(), "t");
    assert_eq!(next.unwrap().reveal(), "r2");
}

#[test]
fn a_new_refresh_token_survives_an_access_token_that_is_of_no_use() {
    let now = Now::new(Duration::from_secs(1000), Duration::from_secs(1));
    for body in [
        r#"{"access_token":"t","expires_in":0,"refresh_token":"r2"}"#,
        r#"{"access_token":"t","refresh_token":"r2"}"#,
    ] {
        let response = Response::new(body.as_bytes().to_vec());
        let (token, next) = refreshed(response, now).unwrap();
        assert!(token.is_err(), "{body}");
        assert_eq!(next.unwrap().reveal(), "r2", "{body}");
    }
}
