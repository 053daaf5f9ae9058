//! Access tokens: what is sent, what comes back, and which scopes.

use std::time::Duration;

use futures_executor::block_on;
use gce_auth::{ErrorKind, IdTokenCredentials};
use gce_auth_emulator::{Account, Emulator, Profile};
use http::HeaderMap;

use super::{
    PLATFORM, READ_ONLY,
    support::{TOKEN, asked, builder, credentials, emulator},
    wall,
};

#[test]
fn a_token_comes_with_its_expiry_and_becomes_the_header_of_a_request() {
    let emulator = emulator();
    let credentials = credentials(&emulator);
    assert_eq!(asked(&emulator), [""; 0]);
    let before = wall();
    let token = credentials.blocking_token().unwrap();
    assert!(token.secret().starts_with("ya29."));
    let lifetime = token.expires_at().unwrap().duration_since(before).unwrap();
    assert!((3500..3601).contains(&lifetime.as_secs()), "{lifetime:?}");
    assert_eq!(credentials.expires_at(), token.expires_at());

    let headers = credentials.blocking_headers().unwrap();
    let value = headers.authorization().unwrap();
    assert_eq!(
        value.to_str().unwrap(),
        format!("Bearer {}", token.secret())
    );
    assert!(value.is_sensitive());
    let names: Vec<_> = headers.iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["authorization"]);
    let mut map = HeaderMap::new();
    map.insert("authorization", "old".parse().unwrap());
    headers.apply_to(&mut map);
    assert_eq!(map["authorization"], value);
    assert_eq!(HeaderMap::from(headers.clone()), map);

    let authorization = credentials.blocking_authorization().unwrap();
    assert_eq!(authorization, value);
    assert_eq!(asked(&emulator), [TOKEN]);
}

#[test]
fn async_methods_answer_as_their_blocking_twins() {
    let emulator = emulator();
    let credentials = credentials(&emulator);
    block_on(async {
        let headers = credentials.headers().await.unwrap();
        assert_eq!(headers, credentials.blocking_headers().unwrap());
        let token = credentials.token().await.unwrap();
        assert_eq!(token, credentials.blocking_token().unwrap());
        let value = credentials.authorization().await.unwrap();
        assert_eq!(value, token.authorization());
        let account = credentials.account().await.unwrap();
        assert_eq!(account, credentials.blocking_account().unwrap());
        let universe = credentials.universe_domain().await.unwrap();
        assert_eq!(universe, "googleapis.com");
        assert_eq!(credentials.blocking_universe_domain().unwrap(), universe);
        credentials.wait_ready(Duration::ZERO).await.unwrap();
    });
    assert_eq!(emulator.request_count(TOKEN), 1);
    assert_eq!(
        emulator.request_count("universe/universe-domain"),
        1,
        "the universe is asked for once"
    );
}

#[test]
fn requests_say_who_asks_and_what_for() {
    let emulator = emulator();
    credentials(&emulator).blocking_token().unwrap();
    IdTokenCredentials::builder("https://a")
        .endpoint(emulator.addr().to_string())
        .build()
        .unwrap()
        .blocking_token()
        .unwrap();
    let requests = emulator.requests();
    let metrics = ["auth-request-type/at", "auth-request-type/it"];
    for (request, metric) in requests.iter().zip(metrics) {
        assert_eq!(request.method, "GET");
        assert_eq!(request.header("metadata-flavor"), Some("Google"));
        assert_eq!(
            request.header("host"),
            Some(&*emulator.addr().to_string()),
            "the true name of the server"
        );
        let agent = request.header("user-agent").unwrap();
        assert!(agent.starts_with("gce-auth/"), "{agent}");
        let api = request.header("x-goog-api-client").unwrap();
        assert!(
            api.contains(metric) && api.contains("cred-type/mds"),
            "{api}"
        );
        assert_eq!(request.body_length, 0);
    }
    assert_eq!(requests.len(), 2);
}

#[test]
fn a_quota_project_adds_a_header_and_costs_no_request() {
    let emulator = emulator();
    let plain = credentials(&emulator);
    let billed = plain.with_quota_project("billed").unwrap();
    let built = builder(&emulator)
        .quota_project_id("other-project")
        .build()
        .unwrap();
    assert_eq!(billed.quota_project_id(), Some("billed"));
    assert_eq!(plain.quota_project_id(), None);
    let headers = billed.blocking_headers().unwrap();
    let names: Vec<_> = headers.iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["authorization", "x-goog-user-project"]);
    let map = HeaderMap::from(headers);
    assert_eq!(map["x-goog-user-project"], "billed");
    let map = HeaderMap::from(built.blocking_headers().unwrap());
    assert_eq!(map["x-goog-user-project"], "other-project");
    assert_eq!(
        plain.blocking_token().unwrap(),
        built.blocking_token().unwrap()
    );
    assert_eq!(emulator.request_count(TOKEN), 1);
    let error = plain.with_quota_project("no project").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
}

#[test]
fn scopes_are_a_wish_that_serverless_platforms_grant() {
    let emulator = Emulator::builder()
        .profile(Profile::CloudRun)
        .start()
        .unwrap();
    let plain = credentials(&emulator);
    let narrow = plain.with_scopes([READ_ONLY]);
    assert_eq!(narrow.scopes().unwrap(), [READ_ONLY]);
    let (one, two) = (
        plain.blocking_token().unwrap(),
        narrow.blocking_token().unwrap(),
    );
    assert_ne!(one, two);
    let queries = asked(&emulator);
    let scopes = "https%3A%2F%2Fwww.googleapis.com%2Fauth%2Fdevstorage.read_only";
    assert_eq!(
        queries,
        [TOKEN.to_owned(), format!("{TOKEN}?scopes={scopes}")]
    );
}

#[test]
fn enforced_scopes_are_asked_for_and_a_refusal_says_why() {
    let emulator = Emulator::builder()
        .account(Account::new("a@p.iam.gserviceaccount.com").scopes([READ_ONLY]))
        .start()
        .unwrap();
    let wish = |scope: &str| builder(&emulator).scopes([scope]).enforce_scopes(true);
    wish(READ_ONLY).build().unwrap().blocking_token().unwrap();
    assert!(asked(&emulator)[0].ends_with("&enforce_scopes=true"));
    let error = wish(PLATFORM).build().unwrap().blocking_token();
    let error = error.unwrap_err();
    assert_eq!(error.status(), Some(400));
    assert!(error.to_string().contains("subset"), "{error}");
}
