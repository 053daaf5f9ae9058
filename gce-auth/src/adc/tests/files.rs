//! Credentials of files, over a scripted transport.

use std::time::Duration;

use http::Request;
use serde_json::{Value, json};

use crate::{
    adc::DefaultOptions,
    io::{
        fake::{HandQueue, Reply},
        transport::Limits,
    },
    refresh::RefreshMode,
    tokens::{credentials::Credentials, info::CredentialsKind, status::TokenState},
    values::{
        access_boundary::{AccessBoundaryRule, CredentialAccessBoundary},
        error::ErrorKind,
    },
    world::{Folder, START, World},
};

const KEY: &str = include_str!("../../../tests/data/service_account.key");
const SCOPE: &str = "https://www.googleapis.com/auth/devstorage.read_only";
const TARGET: &str = "target@p.iam.gserviceaccount.com";

pub(super) fn user() -> Value {
    json!({"type": "authorized_user", "client_id": "c", "client_secret": "s",
           "refresh_token": "r1", "account": "me@x", "quota_project_id": "billed"})
}

pub(super) fn key() -> Value {
    json!({"type": "service_account", "client_email": "sa@p.iam.gserviceaccount.com",
           "private_key": KEY, "private_key_id": "kid", "project_id": "p",
           "token_uri": "https://oauth2.googleapis.com/token"})
}

pub(super) fn external(source: &Value) -> Value {
    json!({"type": "external_account",
           "audience": "//iam.googleapis.com/projects/12/locations/global/workloadIdentityPools/p/providers/q",
           "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
           "token_url": "https://sts.googleapis.com/v1/token",
           "credential_source": source})
}

pub(super) fn impersonation(email: &str) -> String {
    format!(
        "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/{email}:generateAccessToken"
    )
}

pub(super) fn load(world: &World, file: &Value, scopes: &[&str]) -> Credentials {
    let options = DefaultOptions::new()
        .client(world.client.clone())
        .scopes(scopes.iter().copied());
    let credentials = options.load_json(&file.to_string()).unwrap().credentials;
    credentials.set_refresh_mode(RefreshMode::Blocking);
    credentials
}

fn body(request: &Request<Vec<u8>>) -> String {
    String::from_utf8(request.body().clone()).unwrap()
}

pub(super) fn impersonated(token: &str) -> Reply {
    let text = format!(r#"{{"accessToken":"{token}","expireTime":"2023-11-14T23:13:20Z"}}"#);
    Reply::text(&text)
}

#[test]
fn a_user_gets_tokens_for_the_newest_refresh_token() {
    let rotated = r#"{"access_token":"a1","expires_in":3600,"refresh_token":"r2"}"#;
    let world = World::new([Reply::text(rotated), Reply::token("a2", 3600)]);
    let credentials = load(&world, &user(), &[]);
    assert_eq!(credentials.kind(), CredentialsKind::AuthorizedUser);
    assert_eq!(credentials.blocking_token().unwrap().secret(), "a1");
    assert_eq!(credentials.quota_project_id(), Some("billed"));
    assert_eq!(credentials.info().principal, "me@x");
    world.advance(3500);
    assert_eq!(credentials.blocking_token().unwrap().secret(), "a2");
    let requests = world.transport.requests();
    assert_eq!(requests[0].uri(), "https://oauth2.googleapis.com/token");
    assert!(body(&requests[0]).contains("refresh_token=r1"));
    assert!(body(&requests[1]).contains("refresh_token=r2"));
    assert!(!format!("{credentials:?}").contains("r1"));
}

#[test]
fn a_saved_token_is_used_while_it_is_good() {
    let world = World::new([Reply::token("new", 3600)]);
    let mut file = user();
    file["token"] = "saved".into();
    file["expiry"] = "2023-11-14T22:30:00Z".into();
    let credentials = load(&world, &file, &[]);
    assert_eq!(credentials.token_state(), TokenState::Fresh);
    assert_eq!(credentials.blocking_token().unwrap().secret(), "saved");
    assert!(world.transport.requests().is_empty());
    let copy = credentials.with_quota_project("other").unwrap();
    assert_eq!(
        copy.expires_at(),
        credentials.expires_at(),
        "a copy is the same"
    );
    world.advance(3600);
    assert_eq!(credentials.blocking_token().unwrap().secret(), "new");
}

#[test]
fn a_key_asks_with_an_assertion_or_signs_for_itself() {
    let world = World::new([Reply::token("granted", 3600)]);
    let credentials = load(&world, &key(), &[SCOPE]);
    assert_eq!(credentials.blocking_token().unwrap().secret(), "granted");
    let sent = body(&world.transport.requests()[0]);
    assert!(sent.starts_with("assertion=eyJ"), "{sent}");
    let signing = credentials.with_jwt_access(true).unwrap();
    let token = signing.blocking_token().unwrap();
    assert!(token.secret().starts_with("eyJ"));
    assert_eq!(world.transport.requests().len(), 1, "no server was asked");
    let expires = token
        .expires_at()
        .unwrap()
        .duration_since(std::time::UNIX_EPOCH);
    assert_eq!(expires.unwrap(), Duration::from_secs(START + 3600));
    let acting = signing.with_subject("user@x").unwrap();
    assert_eq!(acting.blocking_token().unwrap().secret(), "granted");
    assert_eq!(
        credentials.blocking_project_id().unwrap().as_deref(),
        Some("p")
    );
}

#[test]
fn a_key_signs_without_any_server() {
    let world = World::new([]);
    let credentials = load(&world, &key(), &[]);
    let signature = credentials.blocking_sign_bytes(b"message").unwrap();
    assert_eq!(signature.len(), 256);
    let signer = crate::signer::Signer::new(credentials);
    let signed = signer.blocking_sign_bytes(b"message").unwrap();
    assert_eq!((signed.bytes(), signed.key_id()), (&*signature, "kid"));
    assert!(signer.blocking_sign_jwt("{\"a\":1}").is_ok());
    let email = "sa@p.iam.gserviceaccount.com";
    assert_eq!(
        signer.blocking_fetch_service_account_email().unwrap(),
        email
    );
    let fetched = futures_executor::block_on(signer.fetch_service_account_email());
    assert_eq!(fetched.unwrap(), email);
    assert!(world.transport.requests().is_empty());
}

#[test]
fn an_impersonated_account_asks_iam_with_the_token_of_its_source() {
    let world = World::new([
        Reply::token("user-token", 3600),
        impersonated("target-token"),
        Reply::text(r#"{"keyId":"k","signedBlob":"AAAA"}"#),
    ]);
    let file = json!({"type": "impersonated_service_account", "source_credentials": user(),
        "service_account_impersonation_url": impersonation(TARGET),
        "delegates": ["projects/-/serviceAccounts/d@x"]});
    let credentials = load(&world, &file, &[SCOPE]);
    assert_eq!(
        credentials.blocking_token().unwrap().secret(),
        "target-token"
    );
    assert_eq!(credentials.service_account_email().as_deref(), Some(TARGET));
    assert_eq!(credentials.blocking_sign_bytes(b"x").unwrap(), [0, 0, 0]);
    let requests = world.transport.requests();
    assert_eq!(requests[1].headers()["authorization"], "Bearer user-token");
    assert_eq!(requests[1].headers()["x-goog-user-project"], "billed");
    let asked: Value = serde_json::from_slice(requests[1].body()).unwrap();
    assert_eq!(
        asked,
        json!({"delegates": ["projects/-/serviceAccounts/d@x"], "scope": [SCOPE],
               "lifetime": "3600s"})
    );
    assert!(requests[2].uri().path().ends_with(":signBlob"));
}

#[test]
fn any_credentials_act_as_another_account_and_sign_as_it() {
    let world = World::new([Reply::token("user-token", 3600), impersonated("t")]);
    let source = load(&world, &user(), &[]);
    let acting = source
        .impersonate(TARGET)
        .lifetime(Duration::from_secs(600))
        .iam_endpoint("http://127.0.0.1:81")
        .build()
        .unwrap();
    assert_eq!(acting.blocking_token().unwrap().secret(), "t");
    let requests = world.transport.requests();
    assert_eq!(requests[1].uri().authority().unwrap(), "127.0.0.1:81");
    assert!(body(&requests[1]).contains(r#""lifetime":"600s""#));
    assert!(body(&requests[1]).contains("cloud-platform"));
    for bad in [
        source.impersonate("no account"),
        source.impersonate(TARGET).lifetime(Duration::ZERO),
        source
            .impersonate(TARGET)
            .lifetime(Duration::from_secs(43_201)),
        source.impersonate(TARGET).iam_endpoint("x"),
    ] {
        assert_eq!(bad.build().unwrap_err().kind(), ErrorKind::Config);
    }
}

#[test]
fn a_rejected_token_of_the_source_is_replaced() {
    let world = World::new([
        Reply::token("one", 3600),
        Reply::status(401),
        Reply::token("two", 3600),
        Reply::text(r#"{"signedBlob":"AAAA"}"#),
    ]);
    let acting = load(&world, &user(), &[])
        .impersonate(TARGET)
        .build()
        .unwrap();
    assert_eq!(acting.blocking_sign_bytes(b"x").unwrap(), [0, 0, 0]);
    let requests = world.transport.requests();
    assert_eq!(requests[1].headers()["authorization"], "Bearer one");
    assert_eq!(requests[3].headers()["authorization"], "Bearer two");
}

#[test]
fn a_source_whose_tokens_are_all_rejected_is_asked_three_times() {
    let replies = (0..4).flat_map(|n| [Reply::token(&format!("t{n}"), 3600), Reply::status(401)]);
    let world = World::new(replies.collect::<Vec<_>>());
    let acting = load(&world, &user(), &[])
        .impersonate(TARGET)
        .build()
        .unwrap();
    let error = acting.blocking_sign_bytes(b"x").unwrap_err();
    assert_eq!(error.status(), Some(401));
    assert_eq!(world.transport.requests().len(), 6);
}

#[test]
fn an_external_account_exchanges_what_a_file_holds_for_each_token() {
    let folder = Folder::new();
    let path = folder.join("subject");
    std::fs::write(&path, "subject-one").unwrap();
    let world = World::new([
        Reply::token("one", 3600),
        Reply::token("two", 3600),
        Reply::text(r#"{"projectId":"found"}"#),
    ]);
    let file = external(&json!({ "file": path }));
    let credentials = load(&world, &file, &[SCOPE]);
    assert_eq!(credentials.blocking_token().unwrap().secret(), "one");
    std::fs::write(&path, "subject-two").unwrap();
    world.advance(3599);
    assert_eq!(credentials.blocking_token().unwrap().secret(), "two");
    assert_eq!(credentials.blocking_project_id().unwrap().unwrap(), "found");
    let requests = world.transport.requests();
    assert!(body(&requests[0]).contains("subject_token=subject-one"));
    assert!(body(&requests[1]).contains("subject_token=subject-two"));
    assert_eq!(
        requests[2].uri(),
        "https://cloudresourcemanager.googleapis.com/v1/projects/12"
    );
    std::fs::remove_file(&path).unwrap();
    world.advance(3599);
    let error = credentials.blocking_token().unwrap_err();
    assert!(error.to_string().contains("doesn't exist"), "{error}");
}

#[test]
fn an_external_account_may_act_as_a_service_account() {
    let world = World::new([
        Reply::text(r#"{"t":"subject"}"#),
        Reply::token("federated", 3600),
        impersonated("target"),
    ]);
    let mut file = external(&json!({"url": "http://169.254.169.254/token",
        "headers": {"Metadata": "true"},
        "format": {"type": "json", "subject_token_field_name": "t"}}));
    file["service_account_impersonation_url"] = impersonation(TARGET).into();
    file["service_account_impersonation"] = json!({"token_lifetime_seconds": 7200});
    let credentials = load(&world, &file, &[SCOPE]);
    assert_eq!(credentials.kind(), CredentialsKind::ExternalAccount);
    assert_eq!(credentials.blocking_token().unwrap().secret(), "target");
    assert_eq!(credentials.service_account_email().as_deref(), Some(TARGET));
    let requests = world.transport.requests();
    assert_eq!(requests[0].headers()["metadata"], "true");
    assert!(body(&requests[1]).contains("scope=https%3A%2F%2Fwww.googleapis.com%2Fauth%2Fiam&"));
    assert!(body(&requests[2]).contains(r#""lifetime":"7200s""#));
}

#[test]
fn an_executable_is_not_run_unless_the_environment_allows_it() {
    let (world, folder) = (World::new([]), Folder::new());
    let trace = folder.join("ran");
    let command = format!("touch {}", trace.display());
    let file = external(&json!({"executable": {"command": command}}));
    let error = load(&world, &file, &[]).blocking_token().unwrap_err();
    assert!(!trace.exists(), "it was not run");
    assert_eq!(error.kind(), ErrorKind::Config);
    let said = error.to_string();
    assert!(
        said.contains("GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES"),
        "{said}"
    );
    assert!(world.transport.requests().is_empty());
}

#[test]
fn a_narrower_token_is_made_of_a_new_token_of_its_source_each_time() {
    let world = World::new([
        Reply::token("one", 3600),
        Reply::token("narrow-one", 3600),
        Reply::token("two", 3600),
        Reply::token("narrow-two", 3600),
    ]);
    let rule = AccessBoundaryRule::new("//storage/b", ["inRole:roles/x"]).unwrap();
    let boundary = CredentialAccessBoundary::new([rule]).unwrap();
    let narrow = load(&world, &user(), &[]).downscope(&boundary).unwrap();
    narrow.set_refresh_mode(RefreshMode::Blocking);
    assert_eq!(narrow.blocking_token().unwrap().secret(), "narrow-one");
    world.advance(3500);
    assert_eq!(narrow.blocking_token().unwrap().secret(), "narrow-two");
    let requests = world.transport.requests();
    assert_eq!(requests[1].uri(), "https://sts.googleapis.com/v1/token");
    assert!(body(&requests[1]).contains("subject_token=one&"));
    assert!(body(&requests[3]).contains("subject_token=two&"));
}

#[test]
fn id_tokens_are_had_of_those_that_have_them() {
    let world = World::new([]);
    for file in [user(), external(&json!({"file": "/t"}))] {
        let error = load(&world, &file, &[]).id_token("aud").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidOperation);
    }
    let claims = "eyJhbGciOiAiUlMyNTYifQ.eyJhdWQiOiJhdWQiLCJleHAiOjE3MDAwMDM2MDB9.c2ln";
    let world = World::new([Reply::text(&format!(r#"{{"id_token":"{claims}"}}"#))]);
    let identity = load(&world, &key(), &[]).id_token("aud").unwrap();
    assert_eq!(identity.blocking_token().unwrap().secret(), claims);
    let token = format!(r#"{{"token":"{claims}"}}"#);
    let world = World::new([Reply::token("u", 3600), Reply::text(&token)]);
    let acting = load(&world, &user(), &[])
        .impersonate(TARGET)
        .build()
        .unwrap();
    let identity = acting.id_token("aud").unwrap();
    let identity = identity.with_include_email(true).unwrap();
    assert_eq!(identity.blocking_token().unwrap().secret(), claims);
    let asked = body(&world.transport.requests()[1]);
    assert!(asked.contains(r#""includeEmail":true"#), "{asked}");
}

#[test]
fn secrets_go_nowhere_that_only_the_file_names() {
    let world = World::new([]);
    let refused = |file: Value, member: &str| {
        let options = DefaultOptions::new().client(world.client.clone());
        let error = options.load_json(&file.to_string()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        let said = error.to_string();
        assert!(said.contains(member), "{said}");
    };
    let with = |mut file: Value, name: &str, value: &str| {
        file[name] = value.into();
        file
    };
    let source = json!({"file": "/t"});
    let evil = "https://evil.example/token";
    refused(with(key(), "token_uri", evil), "token_uri");
    refused(
        with(key(), "universe_domain", "evil.example"),
        "universe_domain",
    );
    refused(with(external(&source), "token_url", evil), "token_url");
    refused(
        with(external(&source), "universe_domain", "evil.example"),
        "universe_domain",
    );
    let url = format!("https://evil.example/{TARGET}:generateAccessToken");
    let member = "service_account_impersonation_url";
    refused(with(external(&source), member, &url), member);
    let workforce = json!({"type": "external_account_authorized_user", "refresh_token": "r",
        "token_url": evil, "client_id": "c", "client_secret": "s"});
    refused(workforce, "token_url");
    let trusting = DefaultOptions::new()
        .client(world.client.clone())
        .trust_host("evil.example");
    assert!(
        trusting
            .load_json(&with(key(), "token_uri", evil).to_string())
            .is_ok()
    );
}

#[test]
fn limits_hold_for_every_server() {
    let mut short = Limits::new();
    short.attempt = Duration::from_millis(300);
    for given in [true, false] {
        let world = World::with([Reply::token("t", 3600)], HandQueue::new(), |client| {
            if given {
                client.limits(short.clone())
            } else {
                client
            }
        });
        load(&world, &user(), &[]).blocking_token().unwrap();
        let sent = &world.transport.limits()[0];
        let attempt = Duration::from_millis(if given { 300 } else { 10_000 });
        assert_eq!(
            sent.attempt, attempt,
            "of 15 s, a budget of 10 s leaves 10 s"
        );
        let connect = Duration::from_millis(if given { 300 } else { 5000 });
        assert_eq!(sent.connect, connect);
    }
}
