//! Tokens that are there before any is asked for: saved in files, and of
//! originals of copies.

use serde_json::{Value, json};

use crate::{
    adc::{
        DefaultOptions,
        tests::files::{external, impersonated, impersonation, key, load, user},
    },
    io::fake::{HandQueue, Reply},
    refresh::RefreshMode,
    tokens::{credentials::Credentials, status::TokenState},
    values::error::ErrorKind,
    world::World,
};

const ELSEWHERE: &str = "https://oauth2.googleapis.com/elsewhere";

pub(super) fn workforce_user() -> Value {
    json!({"type": "external_account_authorized_user",
           "audience": "//iam.googleapis.com/locations/global/workforcePools/p/providers/q",
           "client_id": "c", "client_secret": "s", "refresh_token": "r1",
           "token_url": "https://sts.googleapis.com/v1/oauthtoken"})
}

fn held(credentials: &Credentials) -> String {
    let held = credentials.held_token().unwrap();
    held.secret().to_owned()
}

#[test]
fn copies_of_a_user_begin_with_the_token_of_their_original() {
    for file in [user(), workforce_user()] {
        let world = World::new([Reply::token("first", 3600), Reply::token("second", 3600)]);
        let credentials = load(&world, &file, &[]).unshared();
        credentials.blocking_refresh().unwrap();
        let copies = [
            credentials.with_quota_project("other").unwrap(),
            credentials.with_token_uri(ELSEWHERE).unwrap(),
            credentials.with_universe_domain("u.example"),
        ];
        for copy in &copies {
            assert_eq!(copy.expires_at(), credentials.expires_at());
            assert_eq!(copy.blocking_token().unwrap().secret(), "first");
        }
        assert_eq!(world.transport.requests().len(), 1);
        // And each is renewed where it says.
        copies[1].blocking_refresh().unwrap();
        assert_eq!(held(&copies[1]), "second");
        assert_eq!(held(&credentials), "first");
        assert_eq!(world.transport.requests()[1].uri(), ELSEWHERE);
    }
}

#[test]
fn a_copy_does_not_begin_with_a_rejected_token() {
    let world = World::new([Reply::token("new", 3600)]);
    let mut file = user();
    file["token"] = "saved".into();
    file["expiry"] = "2023-11-14T22:30:00Z".into();
    let credentials = load(&world, &file, &[]).unshared();
    let rejected = credentials.held_token().unwrap();
    assert!(credentials.invalidate(&rejected));
    let copy = credentials.with_token_uri(ELSEWHERE).unwrap();
    assert_eq!(copy.blocking_token().unwrap().secret(), "new");
}

#[test]
fn a_saved_token_that_has_expired_is_shown_and_never_used() {
    for expiry in ["2023-11-14T22:13:10Z", ""] {
        for mut file in [user(), workforce_user()] {
            if expiry.is_empty() && file["type"] != "authorized_user" {
                continue;
            }
            file["token"] = "saved".into();
            file["expiry"] = expiry.into();
            let world = World::new([Reply::token("new", 3600)]);
            let credentials = load(&world, &file, &[]);
            assert_eq!(held(&credentials), "saved");
            assert_eq!(credentials.token_state(), TokenState::Invalid);
            assert_eq!(credentials.blocking_token().unwrap().secret(), "new");
        }
    }
}

#[test]
fn with_exact_freshness_the_source_of_an_account_is_renewed_by_its_caller() {
    let replies = [
        Reply::token("first", 3600),
        impersonated("one"),
        Reply::token("second", 3600),
        impersonated("two"),
    ];
    let world = World::with(replies, HandQueue::new(), |it| it.exact_freshness(true));
    let file = json!({"type": "impersonated_service_account",
                      "service_account_impersonation_url": impersonation("t@x"),
                      "source_credentials": user()});
    let options = DefaultOptions::new().client(world.client.clone());
    let credentials = options.load_json(&file.to_string()).unwrap().credentials;
    assert_eq!(credentials.0.mode(), RefreshMode::Blocking);
    credentials.blocking_refresh().unwrap();
    world.advance(3500);
    credentials.blocking_refresh().unwrap();
    assert_eq!(held(&credentials), "two");
    assert_eq!(world.transport.requests().len(), 4);
    let sent = &world.transport.requests()[3];
    assert_eq!(sent.headers()["authorization"], "Bearer second");
}

#[test]
fn a_file_is_written_as_it_was_read() {
    let mut acting = external(&json!({"url": "http://127.0.0.1/", "headers": {"a": "b"}}));
    acting["service_account_impersonation_url"] = impersonation("t@x").into();
    acting["service_account_impersonation"] = json!({"token_lifetime_seconds": 500});
    let chain = json!({"type": "impersonated_service_account", "delegates": ["d@x"],
                       "service_account_impersonation_url": impersonation("t@x"),
                       "source_credentials": user()});
    let world = World::new([]);
    for mut file in [user(), key(), acting, chain, workforce_user()] {
        // A key file names no project to bill, and one in it is not read.
        if file["type"] != "service_account" {
            file["quota_project_id"] = "billed".into();
        }
        let credentials = load(&world, &file, &[]);
        let written = credentials.file().unwrap().to_json();
        let read: Value = serde_json::from_str(written.secret()).unwrap();
        for (name, value) in file.as_object().unwrap() {
            if name == "source_credentials" {
                assert_eq!(read[name]["refresh_token"], value["refresh_token"]);
            } else {
                assert_eq!(&read[name], value, "{name}");
            }
        }
        let again = load(&world, &read, &[]).file().unwrap();
        assert_eq!(again.to_json().secret(), written.secret());
        let shown = format!("{again:?} {written:?}");
        for secret in ["r1", "PRIVATE KEY", "\"s\""] {
            assert!(!shown.contains(secret), "{shown}");
        }
    }
    let acting = load(&world, &key(), &[])
        .impersonate("t@x")
        .build()
        .unwrap();
    let written = acting.file().unwrap().to_json();
    let written: Value = serde_json::from_str(written.secret()).unwrap();
    assert_eq!(written.get("delegates"), None, "none were named");
    let chain = acting.impersonate("u@x").build().unwrap();
    assert!(chain.file().is_none(), "no file holds a chain");
    assert!(Credentials::new().file().is_none());
}

#[test]
fn a_file_says_what_was_learned_and_changed_since() {
    let rotated = r#"{"access_token":"t","expires_in":3600,"refresh_token":"r2"}"#;
    let world = World::new([Reply::text(rotated)]);
    let credentials = load(&world, &user(), &[]);
    credentials.blocking_refresh().unwrap();
    let copy = credentials.with_token_uri(ELSEWHERE).unwrap();
    let file = copy.with_quota_project("other").unwrap().file().unwrap();
    let read: Value = serde_json::from_str(file.to_json().secret()).unwrap();
    assert_eq!(read["refresh_token"], "r2");
    assert_eq!(read["quota_project_id"], "other");
    assert_eq!(file.token_uri(), Some(ELSEWHERE));
    assert_eq!(
        (file.account(), file.client_id()),
        (Some("me@x"), Some("c"))
    );
    assert!(file.is_user() && !file.is_workforce_pool());
}

#[test]
fn a_pool_is_of_people_or_of_a_project() {
    let world = World::new([]);
    let workload = external(&json!({"file": "/f"}));
    let file = load(&world, &workload, &[]).file().unwrap();
    assert_eq!(file.project_number(), Some("12"));
    assert!(!file.is_user() && !file.is_workforce_pool());
    let mut workforce = workload;
    workforce["audience"] = workforce_user()["audience"].clone();
    let file = load(&world, &workforce, &[]).file().unwrap();
    assert_eq!(file.project_number(), None);
    assert!(file.is_user() && file.is_workforce_pool());
    workforce["service_account_impersonation_url"] = impersonation("t@x").into();
    let file = load(&world, &workforce, &[]).file().unwrap();
    assert!(!file.is_user() && file.is_workforce_pool());
}

#[test]
fn with_exact_freshness_what_comes_for_a_rejected_token_is_renewed_if_it_is_stale() {
    for (seconds, tokens) in [(3600, 2), (60, 3)] {
        let mut replies = vec![Reply::token("t0", 3600), Reply::status(401)];
        replies.extend((1..tokens).map(|n| Reply::token(&format!("t{n}"), seconds)));
        replies.push(Reply::text(r#"{"signedBlob":"AAAA"}"#));
        let world = World::with(replies, HandQueue::new(), |it| it.exact_freshness(true));
        let source = load(&world, &user(), &[]);
        let acting = source.impersonate("t@x").build().unwrap();
        assert_eq!(acting.blocking_sign_bytes(b"x").unwrap(), [0, 0, 0]);
        let requests = world.transport.requests();
        let last = requests.last().unwrap();
        let newest = format!("Bearer t{}", tokens - 1);
        assert_eq!(last.headers()["authorization"], newest);
        assert_eq!(requests.len(), tokens + 2, "{seconds} s");
    }
}

#[test]
fn a_source_that_was_refused_is_asked_once_for_all_that_act_with_it() {
    let refused = || Reply::status(400);
    let world = World::new([refused(), refused(), refused()]);
    let source = load(&world, &user(), &[]);
    let acting = source.impersonate("t@x").build().unwrap();
    for audience in ["https://a.example", "https://b.example"] {
        let identity = acting.id_token(audience).unwrap();
        let error = identity.blocking_token().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused, "{error}");
    }
    assert!(acting.blocking_sign_bytes(b"x").is_err());
    assert_eq!(world.transport.requests().len(), 1, "within a second");
    world.advance(2);
    assert!(acting.blocking_sign_bytes(b"x").is_err());
    assert_eq!(world.transport.requests().len(), 2);
}

#[test]
fn a_region_of_aws_is_kept_only_once_a_token_came_of_it() {
    let keys = r#"{"AccessKeyId":"a","SecretAccessKey":"s"}"#;
    let signs = || [Reply::text("role"), Reply::text(keys)];
    let mut replies = vec![Reply::text("<html>")];
    replies.extend(signs());
    // A region of another machine, which Google refuses.
    replies.push(Reply::text("oops"));
    replies.extend(signs());
    replies.push(Reply::status(400));
    replies.push(Reply::text("us-east-2b"));
    replies.extend(signs());
    replies.push(Reply::token("one", 60));
    replies.extend(signs());
    replies.push(Reply::token("two", 60));
    let world = World::new(replies);
    let source = json!({"environment_id": "aws1", "url": "http://127.0.0.1/role",
        "region_url": "http://127.0.0.1/zone",
        "regional_cred_verification_url": "https://sts.{region}.amazonaws.com"});
    let mut file = external(&source);
    file["subject_token_type"] = "urn:ietf:params:aws:token-type:aws4_request".into();
    let credentials = load(&world, &file, &[]);
    for kind in [ErrorKind::Config, ErrorKind::Refused] {
        assert_eq!(credentials.blocking_token().unwrap_err().kind(), kind);
        world.advance(5);
    }
    assert_eq!(credentials.blocking_token().unwrap().secret(), "one");
    world.advance(60);
    assert_eq!(credentials.blocking_token().unwrap().secret(), "two");
    let requests = world.transport.requests();
    let zones = requests.iter().filter(|it| it.uri().path() == "/zone");
    assert_eq!(zones.count(), 3, "what worked is not asked for again");
}
