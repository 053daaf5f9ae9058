//! Tokens that are there before any is asked for: saved in files, and of
//! originals of copies.

use serde_json::{Value, json};

use crate::{
    adc::{
        DefaultOptions,
        tests::files::{impersonated, impersonation, load, user},
    },
    io::fake::{HandQueue, Reply},
    refresh::RefreshMode,
    tokens::{credentials::Credentials, status::TokenState},
    world::World,
};

const ELSEWHERE: &str = "https://oauth2.googleapis.com/elsewhere";

fn workforce_user() -> Value {
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
    let world = World::with(replies, HandQueue::new(), |it| it.exact_freshness());
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
