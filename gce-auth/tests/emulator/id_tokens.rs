//! ID tokens and their audiences.

use std::time::Duration;

use futures_executor::block_on;
use gce_auth::{ErrorKind, IdTokenCredentials, IdTokenFormat};
use gce_auth_emulator::Emulator;
use http::HeaderMap;

use super::{
    support::{IDENTITY, asked, emulator},
    wall,
};

#[test]
fn an_id_token_is_for_its_audience_and_tells_the_instance() {
    let emulator = Emulator::builder().project_id("proj").start().unwrap();
    let credentials = IdTokenCredentials::builder("https://service.example/path?x=1")
        .endpoint(emulator.addr().to_string())
        .build()
        .unwrap();
    assert_eq!(credentials.audience(), "https://service.example/path?x=1");
    let token = credentials.blocking_token().unwrap();
    let claims = token.claims();
    assert_eq!(claims.audience(), Some("https://service.example/path?x=1"));
    assert_eq!(claims.issuer(), Some("https://accounts.google.com"));
    let email = "emulator@proj.iam.gserviceaccount.com";
    assert_eq!(claims.email(), Some(email));
    assert!(claims.subject().is_some_and(|subject| subject.len() == 21));
    let instance = claims.compute_engine().unwrap();
    assert_eq!(instance.project_id(), Some("proj"));
    assert_eq!(instance.instance_name(), Some("emulator"));
    assert_eq!(instance.zone(), Some("us-central1-a"));
    assert!(token.expires_at().unwrap() > wall() + Duration::from_secs(3500));
    assert_eq!(credentials.expires_at(), token.expires_at());
    let value = HeaderMap::from(block_on(credentials.headers()).unwrap())["authorization"].clone();
    assert_eq!(
        value.to_str().unwrap(),
        format!("Bearer {}", token.secret())
    );
    assert_eq!(block_on(credentials.token()).unwrap(), token);
    assert_eq!(
        asked(&emulator),
        [format!(
            "{IDENTITY}?audience=https%3A%2F%2Fservice.example%2Fpath%3Fx%3D1&format=full"
        )]
    );
}

#[test]
fn each_audience_and_format_has_a_token_of_its_own_and_asks_once() {
    let emulator = emulator();
    let base = IdTokenCredentials::builder("https://a")
        .endpoint(emulator.addr().to_string())
        .format(IdTokenFormat::Standard)
        .build()
        .unwrap();
    let token = base.blocking_token().unwrap();
    assert!(token.claims().compute_engine().is_none());
    for round in 0..3 {
        for audience in ["https://a", "https://b", "https://c"] {
            // A copy made for one call keeps its token when it is dropped.
            let copy = base.with_audience(audience).unwrap();
            let token = copy.blocking_token().unwrap();
            assert_eq!(token.claims().audience(), Some(audience), "round {round}");
        }
    }
    assert_eq!(emulator.request_count(IDENTITY), 3);
    assert!(base.invalidate(&token));
    base.blocking_token().unwrap();
    base.blocking_refresh().unwrap();
    assert_eq!(emulator.request_count(IDENTITY), 5);
    let full = IdTokenCredentials::builder("https://a")
        .endpoint(emulator.addr().to_string())
        .licenses(true)
        .build()
        .unwrap();
    let claims = full.blocking_token().unwrap().claims();
    assert!(claims.compute_engine().is_some());
    assert!(
        asked(&emulator)
            .last()
            .unwrap()
            .ends_with("format=full&licenses=TRUE")
    );
}

#[test]
fn an_id_token_without_an_audience_is_refused_before_anything_is_asked() {
    let emulator = emulator();
    let built = IdTokenCredentials::builder("")
        .endpoint(emulator.addr().to_string())
        .build();
    assert_eq!(built.unwrap_err().kind(), ErrorKind::Config);
    assert_eq!(asked(&emulator), [""; 0]);
}
