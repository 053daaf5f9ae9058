//! What copies of the credentials of files keep, change and share.

use std::time::Duration;

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use http::{HeaderMap, Method, Uri};
use serde_json::{Value, json};

use crate::{
    adc::{
        DefaultOptions,
        tests::files::{external, impersonated, impersonation, key, load, user},
    },
    io::fake::Reply,
    tokens::credentials::Credentials,
    values::{
        access_boundary::{AccessBoundaryRule, CredentialAccessBoundary},
        error::ErrorKind,
    },
    world::{START, World},
};

const SCOPE: &str = "https://www.googleapis.com/auth/devstorage.read_only";
const URL: &str = r#"{"url": "http://127.0.0.1/"}"#;

fn options(world: &World) -> DefaultOptions {
    DefaultOptions::new()
        .client(world.client.clone())
        .shared(false)
}

fn claims(credentials: &Credentials) -> Value {
    let token = credentials.blocking_token().unwrap();
    let claims = token.secret().split('.').nth(1).unwrap();
    let claims = BASE64_URL_SAFE_NO_PAD.decode(claims).unwrap();
    serde_json::from_slice(&claims).unwrap()
}

#[test]
fn a_key_signs_tokens_for_one_service_and_asks_no_server() {
    let world = World::new([]);
    let key = load(&world, &key(), &[SCOPE]);
    let signed = key.self_signed_jwt("https://one.example").unwrap();
    let account = "sa@p.iam.gserviceaccount.com";
    let expected = json!({"iss": account, "sub": account, "aud": "https://one.example",
                          "iat": START, "exp": START + 3600});
    assert_eq!(claims(&signed), expected);
    let changed = signed
        .with_jwt_lifetime(Duration::from_millis(500_900))
        .and_then(|it| it.with_claims(r#"{"role":"reader","sub":"u@x"}"#))
        .and_then(|it| it.with_jwt_audience("two"))
        .and_then(|it| it.with_quota_project("billed"))
        .unwrap();
    let expected = json!({"iss": account, "sub": "u@x", "aud": "two", "role": "reader",
                          "iat": START, "exp": START + 500});
    assert_eq!(claims(&changed), expected);
    assert_eq!(changed.quota_project_id(), Some("billed"));
    let left = changed.expires_at().unwrap();
    let ends = std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(START + 500);
    assert_eq!(left, ends);
    assert!(world.transport.requests().is_empty());
    for lifetime in [Duration::ZERO, Duration::from_secs(3601)] {
        let error = signed.with_jwt_lifetime(lifetime).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
    }
    let refused = [
        load(&world, &user(), &[]).self_signed_jwt("a").unwrap_err(),
        key.with_jwt_lifetime(Duration::from_secs(60)).unwrap_err(),
        signed.with_subject("u@x").unwrap_err(),
    ];
    for error in refused {
        assert_eq!(error.kind(), ErrorKind::InvalidOperation, "{error}");
    }
    let empty = key.self_signed_jwt("").unwrap_err();
    assert_eq!(empty.kind(), ErrorKind::Config);
}

#[test]
fn the_scopes_that_a_user_granted_are_told() {
    let answer = r#"{"access_token":"t","expires_in":3600,"scope":"a  b"}"#;
    let world = World::new([Reply::text(answer)]);
    let asked = load(&world, &user(), &["a", "b", "c"]);
    assert_eq!(asked.granted_scopes(), None, "no answer came yet");
    asked.blocking_refresh().unwrap();
    assert_eq!(asked.granted_scopes().unwrap(), ["a", "b"]);
    let unasked = load(&world, &user(), &[]);
    unasked.blocking_refresh().unwrap();
    assert_eq!(unasked.granted_scopes(), None, "none were asked for");
}

#[test]
fn the_requests_of_an_external_account_are_billed_like_its_own() {
    let world = World::new([
        Reply::text("subject"),
        Reply::token("federated", 3600),
        impersonated("target"),
    ]);
    let mut file = external(&serde_json::from_str(URL).unwrap());
    file["service_account_impersonation_url"] = impersonation("t@x").into();
    file["quota_project_id"] = "file".into();
    let credentials = load(&world, &file, &[SCOPE]);
    let copy = credentials.with_quota_project("copy").unwrap();
    let headers = HeaderMap::from(copy.blocking_headers().unwrap());
    assert_eq!(headers["x-goog-user-project"], "copy");
    let requests = world.transport.requests();
    assert!(requests[2].uri().path().ends_with(":generateAccessToken"));
    assert_eq!(requests[2].headers()["x-goog-user-project"], "copy");
}

#[test]
fn the_exchange_of_an_external_account_moves_also_if_it_acts_as_another() {
    let world = World::new([
        Reply::text("subject"),
        Reply::token("federated", 3600),
        impersonated("target"),
    ]);
    let mut file = external(&serde_json::from_str(URL).unwrap());
    file["service_account_impersonation_url"] = impersonation("t@x").into();
    let credentials = load(&world, &file, &[SCOPE]);
    let copy = credentials
        .with_token_uri("https://sts.example/t")
        .unwrap()
        .with_universe_domain("u.example");
    assert_eq!(copy.token_uri(), Some("https://sts.example/t"));
    let written = copy.file().unwrap().to_json();
    let written: Value = serde_json::from_str(written.secret()).unwrap();
    assert_eq!(written["token_url"], "https://sts.example/t");
    assert_eq!(written["universe_domain"], "u.example");
    copy.blocking_refresh().unwrap();
    let requests = world.transport.requests();
    assert_eq!(requests[1].uri(), "https://sts.example/t");
    assert_eq!(
        requests[2].uri().host(),
        Some("iamcredentials.googleapis.com")
    );
    let acting = load(&world, &user(), &[]).impersonate("t@x").build();
    let refused = acting.unwrap().with_token_uri("https://sts.example/t");
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::InvalidOperation);
}

#[test]
fn delegates_are_sent_as_they_were_given() {
    for (delegates, sent) in [
        (Some(Vec::new()), json!([])),
        (Some(vec!["d@x"]), json!(["d@x"])),
        (None, Value::Null),
    ] {
        let world = World::new([Reply::token("user", 3600), impersonated("t")]);
        let mut builder = load(&world, &user(), &[]).impersonate("t@x");
        if let Some(delegates) = delegates {
            builder = builder.delegates(delegates);
        }
        builder.build().unwrap().blocking_refresh().unwrap();
        let body: Value = serde_json::from_slice(world.transport.requests()[1].body()).unwrap();
        assert_eq!(body["delegates"], sent);
    }
}

#[test]
fn an_unshared_account_has_an_unshared_source() {
    let replies = [
        Reply::token("user-one", 3600),
        impersonated("one"),
        Reply::token("user-two", 3600),
        impersonated("two"),
    ];
    let file = json!({"type": "impersonated_service_account", "source_credentials": key(),
                      "service_account_impersonation_url": impersonation("t@x")});
    let world = World::new(replies.clone());
    let loaded = options(&world).load_json(&file.to_string()).unwrap();
    let first = loaded.credentials;
    let second = first.with_quota_project("q").unwrap();
    assert_eq!(first.blocking_token().unwrap().secret(), "one");
    assert_eq!(second.blocking_token().unwrap().secret(), "two");
    assert_eq!(world.transport.requests().len(), 4);
    // Shared, both have one token, of one source.
    let world = World::new(replies);
    let first = load(&world, &file, &[]);
    let second = first.with_quota_project("q").unwrap();
    assert_eq!(first.blocking_token().unwrap().secret(), "one");
    assert_eq!(second.blocking_token().unwrap().secret(), "one");
    assert_eq!(world.transport.requests().len(), 2);
}

/// Loads a file that has a token and sends a request twice; what was looked up
/// between, and what the second request carried.
fn bounded(file: &Value, replies: Vec<Reply>) -> (Option<String>, Option<String>) {
    let world = World::new(replies);
    let options = options(&world)
        .regional_access_boundary(true)
        .scopes([SCOPE]);
    let loaded = options.load_json(&file.to_string()).unwrap();
    let uri = Uri::from_static("https://storage.googleapis.com/");
    let send = || {
        let mut headers = HeaderMap::new();
        let sent = &loaded.credentials;
        sent.blocking_before_request(&Method::GET, &uri, &mut headers)
            .unwrap();
        headers
    };
    send();
    world.queue.run_all();
    let headers = send();
    let requests = world.transport.requests();
    let looked_up = requests.iter().map(|it| it.uri().to_string());
    let looked_up = looked_up.filter(|uri| uri.ends_with("/allowedLocations"));
    let sent = headers.get("x-allowed-locations");
    let sent = sent.map(|value| value.to_str().unwrap().to_owned());
    (looked_up.last(), sent)
}

#[test]
fn the_boundary_of_an_external_account_is_that_of_its_pool() {
    let found = Reply::text(r#"{"encodedLocations":"0xA"}"#);
    let mut file = external(&serde_json::from_str(URL).unwrap());
    let replies = vec![
        Reply::text("subject"),
        Reply::token("t", 3600),
        found.clone(),
    ];
    let (asked, sent) = bounded(&file, replies.clone());
    assert_eq!(
        asked.unwrap(),
        "https://iamcredentials.googleapis.com/v1/projects/12/locations/global/\
         workloadIdentityPools/p/allowedLocations"
    );
    assert_eq!(sent.as_deref(), Some("0xA"));
    file["audience"] = "//iam.googleapis.com/locations/global/workforcePools/w/providers/q".into();
    let (asked, sent) = bounded(&file, replies.clone());
    assert!(
        asked
            .unwrap()
            .ends_with("/v1/locations/global/workforcePools/w/allowedLocations")
    );
    assert_eq!(sent.as_deref(), Some("0xA"));
    // What is of no pool has none, and neither has a person.
    file["audience"] = "https://sts.example".into();
    assert_eq!(bounded(&file, replies), (None, None));
    let replies = vec![Reply::token("t", 3600), found];
    assert_eq!(bounded(&user(), replies), (None, None));
}

#[test]
fn default_scopes_count_where_there_are_no_others() {
    let world = World::new([Reply::token("user", 3600), impersonated("t")]);
    let user = load(&world, &user(), &[]);
    assert!(!user.requires_scopes(), "a user has granted them");
    let acting = user.impersonate("t@x").build().unwrap();
    let copy = acting.without_scopes();
    assert!(copy.requires_scopes());
    let copy = copy.with_default_scopes([SCOPE]);
    assert_eq!(copy.scopes().unwrap(), [SCOPE]);
    copy.blocking_refresh().unwrap();
    let requests = world.transport.requests();
    let body: Value = serde_json::from_slice(requests[1].body()).unwrap();
    assert_eq!(body["scope"], json!([SCOPE]));
    // An external account tells them apart, also where it acts as another.
    for url in ["", &impersonation("t@x")] {
        let mut file = external(&serde_json::from_str(URL).unwrap());
        if !url.is_empty() {
            file["service_account_impersonation_url"] = url.into();
        }
        let options = options(&world).default_scopes([SCOPE]);
        let credentials = options.load_json(&file.to_string()).unwrap().credentials;
        assert_eq!(credentials.scopes(), None);
        assert_eq!(credentials.default_scopes().unwrap(), [SCOPE]);
        assert!(!credentials.requires_scopes());
        let other = credentials.without_scopes().with_default_scopes(["d"]);
        assert_eq!(other.default_scopes().unwrap(), ["d"]);
    }
}

#[test]
fn a_narrowed_credential_may_be_of_another_universe_than_its_source() {
    let world = World::new([Reply::token("user", 3600), Reply::token("narrow", 3600)]);
    let rule = AccessBoundaryRule::new(
        "//storage.googleapis.com/projects/_/buckets/b",
        ["inRole:p"],
    );
    let boundary = CredentialAccessBoundary::new([rule.unwrap()]).unwrap();
    let source = load(&world, &user(), &[]);
    let narrow = source.downscope(&boundary).unwrap();
    let moved = narrow.with_universe_domain("u.example");
    assert_eq!(moved.blocking_universe_domain().unwrap(), "u.example");
    assert_eq!(moved.blocking_token().unwrap().secret(), "narrow");
    let sent = &world.transport.requests()[1];
    assert_eq!(sent.uri(), "https://sts.u.example/v1/token");
    assert_eq!(source.blocking_universe_domain().unwrap(), "googleapis.com");
}

#[test]
fn the_id_tokens_of_a_key_are_for_another_audience_by_another_endpoint() {
    let claims = |audience: &str| {
        let claims = json!({"aud": audience, "exp": START + 3600});
        let encoded = BASE64_URL_SAFE_NO_PAD.encode(claims.to_string());
        Reply::text(&json!({"id_token": format!("e30.{encoded}.c2ln")}).to_string())
    };
    let world = World::new([claims("other"), claims("other")]);
    let identity = load(&world, &key(), &[]).id_token("aud").unwrap();
    let other = identity.with_audience("other").unwrap();
    assert_eq!((identity.audience(), other.audience()), ("aud", "other"));
    other.blocking_token().unwrap();
    let moved = other.with_token_uri("https://elsewhere.example/t").unwrap();
    moved.blocking_token().unwrap();
    let requests = world.transport.requests();
    let asked = requests.iter().map(|it| it.uri().to_string());
    assert_eq!(
        asked.collect::<Vec<_>>(),
        [
            "https://oauth2.googleapis.com/token",
            "https://elsewhere.example/t"
        ]
    );
    for request in requests {
        let form = String::from_utf8(request.into_body()).unwrap();
        let (_, assertion) = form.split_once("assertion=").unwrap();
        let claims = assertion.split('.').nth(1).unwrap();
        let claims = BASE64_URL_SAFE_NO_PAD.decode(claims).unwrap();
        let claims: Value = serde_json::from_slice(&claims).unwrap();
        assert_eq!(claims["target_audience"], "other");
    }
}
