//! gcp_auth and google-cloud-token: tokens through expiry, rejection and an outage.

#![cfg(all(feature = "gcp_auth-0_12", feature = "google-cloud-token-0_1"))]
#![allow(clippy::unwrap_used, reason = "a test says with it what it expects")]

mod support;

use std::error::Error as _;

use gce_auth::Credentials;
use gce_auth_adapters::{gcp_auth_0_12, google_cloud_token_0_1};
use google_cloud_token::TokenSourceProvider;
use support::{Scene, is_valid};

#[tokio::test]
async fn gcp_auth_gets_the_token_of_the_moment() {
    let scene = Scene::new();
    let provider = gcp_auth_0_12::token_provider(&scene.ours);
    let emulator = scene.emulator.addr();
    let first = provider.token(&[]).await.unwrap();
    assert!(is_valid(emulator, first.as_str()));
    assert!(!first.has_expired());
    assert_eq!(provider.token(&[]).await.unwrap().as_str(), first.as_str());
    scene.expire();
    let second = provider.token(&[]).await.unwrap();
    assert!(is_valid(emulator, second.as_str()));
    scene.revoke();
    assert!(scene.ours.invalidate(&scene.ours.cached_token().unwrap()));
    assert!(is_valid(
        emulator,
        provider.token(&[]).await.unwrap().as_str()
    ));

    scene.break_down();
    assert!(provider.token(&[]).await.is_ok());
    scene.expire();
    let Err(error) = provider.token(&[]).await else {
        panic!("a token from nowhere");
    };
    let cause = error.source().map(ToString::to_string).unwrap_or_default();
    assert!(cause.contains("503"), "{error}: {cause}");
    scene.heal();
    assert!(provider.token(&[]).await.is_ok());
}

#[tokio::test]
async fn gcp_auth_asks_for_its_scopes() {
    let scene = Scene::new();
    let provider = gcp_auth_0_12::token_provider(&scene.ours);
    let scopes = [
        "https://www.googleapis.com/auth/pubsub",
        "https://www.googleapis.com/auth/devstorage.read_only",
    ];
    provider.token(&scopes).await.unwrap();
    let asked = scene.emulator.requests();
    let asked = format!("{asked:?}");
    assert!(
        asked.contains("auth/pubsub") || asked.contains("auth%2Fpubsub"),
        "{asked}"
    );
    assert!(asked.contains("devstorage.read_only"), "{asked}");
    assert_eq!(&*provider.project_id().await.unwrap(), "test-project");
}

#[tokio::test]
async fn gcp_auth_has_one_token_for_the_same_scopes() {
    const SCOPES: [&str; 1] = ["https://www.googleapis.com/auth/pubsub"];
    let scoped = Scene::new();
    for (scene, ours) in [
        (&Scene::shared(), None),
        (&scoped, Some(scoped.ours.with_scopes(SCOPES))),
    ] {
        let provider = gcp_auth_0_12::token_provider(ours.as_ref().unwrap_or(&scene.ours));
        for _ in 0..50 {
            provider.token(&SCOPES).await.unwrap();
        }
        assert_eq!(scene.token_requests(), 1);
    }
}

#[tokio::test]
async fn a_token_without_an_expiry_lasts() {
    let ours = Credentials::fixed("ya29.t", None).unwrap();
    let provider = gcp_auth_0_12::token_provider(&ours);
    let token = provider.token(&[]).await.unwrap();
    assert_eq!(token.as_str(), "ya29.t");
    assert!(!token.has_expired());
    let error = provider.project_id().await.unwrap_err();
    assert!(error.to_string().contains("no project"), "{error}");
}

#[tokio::test]
async fn google_cloud_token_gets_the_header() {
    let scene = Scene::new();
    let source = google_cloud_token_0_1::token_source_provider(&scene.ours).token_source();
    let emulator = scene.emulator.addr();
    let valid = async || {
        let header = source.token().await.map_err(|error| error.to_string())?;
        Ok::<bool, String>(is_valid(emulator, header.strip_prefix("Bearer ").unwrap()))
    };
    assert!(valid().await.unwrap());
    scene.expire();
    assert!(valid().await.unwrap());
    scene.revoke();
    assert!(!valid().await.unwrap());
    assert!(scene.ours.invalidate(&scene.ours.cached_token().unwrap()));
    assert!(valid().await.unwrap());
    scene.break_down();
    scene.expire();
    let error = valid().await.unwrap_err();
    assert!(error.contains("503"), "{error}");
    scene.heal();
    assert!(valid().await.unwrap());
}
