//! reqwest, reqwest-middleware, hyper-util and ureq against one API that checks tokens.

#![cfg(all(feature = "reqwest-middleware-0_5", feature = "ureq-3"))]
#![allow(clippy::unwrap_used, reason = "a test says with it what it expects")]

mod support;

use std::error::Error as _;

use gce_auth::{AuthLayer, Credentials, IdTokenCredentials};
use gce_auth_adapters::{reqwest_0_13::Authorize, reqwest_middleware_0_5, ureq_3};
use http_body_util::Empty;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use support::{
    Scene,
    api::{Api, Reply},
    tokens,
};
use tower_layer::Layer;
use tower_service::Service;

#[tokio::test]
async fn reqwest_sends_the_token_of_the_moment() {
    let scene = Scene::new();
    let api = scene.api("{}");
    let client = reqwest::Client::new();
    let send = async || {
        let request = client.get(&api.url).header("authorization", "Bearer stale");
        let request = request.authorize(&scene.ours).await?;
        Ok::<_, gce_auth::Error>(request.send().await.unwrap().status())
    };
    assert_eq!(send().await.unwrap(), 200);
    scene.expire();
    assert_eq!(send().await.unwrap(), 200);
    scene.break_down();
    assert_eq!(send().await.unwrap(), 200);
    scene.expire();
    assert_eq!(send().await.unwrap_err().status(), Some(503));
    scene.heal();
    assert_eq!(send().await.unwrap(), 200);
    let headers = scene.ours.headers().await.unwrap();
    scene.revoke();
    assert_eq!(send().await.unwrap(), 401);
    assert!(scene.ours.invalidate_headers(&headers));
    assert_eq!(send().await.unwrap(), 200);
    assert_eq!(tokens(&api.seen()).len(), 4);
    assert!(
        api.seen()
            .iter()
            .all(|seen| seen.headers["authorization"] != "Bearer stale")
    );
}

fn middleware(ours: &Credentials) -> reqwest_middleware::ClientWithMiddleware {
    reqwest_middleware::ClientBuilder::new(reqwest::Client::new())
        .with(reqwest_middleware_0_5::Auth::new(ours.clone()))
        .build()
}

#[tokio::test]
async fn reqwest_middleware_sends_once_more_after_a_401() {
    let scene = Scene::new();
    let api = scene.api("{}");
    let client = middleware(&scene.ours);
    assert_eq!(client.get(&api.url).send().await.unwrap().status(), 200);
    scene.revoke();
    let answer = client
        .post(&api.url)
        .body("{\"a\":1}")
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
    let seen = api.seen();
    assert_eq!(seen.len(), 3);
    assert_eq!(seen[1].token(), seen[0].token());
    assert_ne!(seen[2].token(), seen[1].token());
    assert_eq!(seen[2].body, seen[1].body);
}

#[tokio::test]
async fn reqwest_middleware_lives_through_expiry_and_an_outage() {
    let scene = Scene::new();
    let api = scene.api("{}");
    let client = middleware(&scene.ours);
    let send = async || {
        client
            .get(&api.url)
            .send()
            .await
            .map(|answer| answer.status())
    };
    assert_eq!(send().await.unwrap(), 200);
    scene.expire();
    assert_eq!(send().await.unwrap(), 200);
    scene.break_down();
    assert_eq!(send().await.unwrap(), 200);
    // Rejected in an outage: there is no other token, and the answer is the server's.
    scene.emulator.revoke_tokens();
    assert_eq!(send().await.unwrap(), 401);
    scene.expire();
    assert!(send().await.is_err());
    scene.heal();
    assert_eq!(send().await.unwrap(), 200);
    assert_eq!(api.seen().len(), 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_revoked_token_is_replaced_once_for_all_requests() {
    let scene = Scene::new();
    let api = scene.api("{}");
    let client = middleware(&scene.ours);
    client.get(&api.url).send().await.unwrap();
    scene.revoke();
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..32 {
        let request = client.get(&api.url);
        calls.spawn(async move { request.send().await.unwrap().status() });
    }
    let answers = calls.join_all().await;
    assert!(answers.iter().all(|status| *status == 200), "{answers:?}");
    assert_eq!(scene.token_requests(), 2);
}

#[tokio::test]
async fn a_request_is_sent_twice_at_most_and_never_with_one_token() {
    let scene = Scene::new();
    let api = Api::start(|_, _| Reply::json(401, "{}"));
    let client = middleware(&scene.ours);
    assert_eq!(client.get(&api.url).send().await.unwrap().status(), 401);
    assert_eq!(api.seen().len(), 1, "the emulator has no other token");

    let scene = Scene::new();
    let client = middleware(&scene.ours);
    scene.ours.token().await.unwrap();
    scene.revoke();
    assert_eq!(client.get(&api.url).send().await.unwrap().status(), 401);
    assert_eq!(api.seen().len(), 3);
    assert_eq!(tokens(&api.seen()).len(), 3);
}

#[tokio::test]
async fn an_error_of_ours_is_the_cause_of_theirs() {
    let scene = Scene::new();
    let api = scene.api("{}");
    scene.break_down();
    let error = middleware(&scene.ours)
        .get(&api.url)
        .send()
        .await
        .unwrap_err();
    let causes = format!("{error}: {:?}", error.source().map(ToString::to_string));
    assert!(causes.contains("503"), "{causes}");
    let agent = agent(scene.ours.clone());
    let url = api.url.clone();
    let error = tokio::task::spawn_blocking(move || agent.get(&url).call().unwrap_err());
    let error = error.await.unwrap().to_string();
    assert!(error.contains("503"), "{error}");
    assert!(api.seen().is_empty());
}

#[tokio::test]
async fn hyper_util_sends_through_the_layer() {
    let scene = Scene::new();
    let api = scene.api("{}");
    let client = Client::builder(TokioExecutor::new()).build_http::<Empty<&[u8]>>();
    let mut client = AuthLayer::new(scene.ours.clone())
        .resend_clones()
        .layer(client);
    let mut send = async || {
        let request = http::Request::get(&api.url).body(Empty::new()).unwrap();
        client
            .call(request)
            .await
            .map(|answer| answer.status().as_u16())
    };
    assert_eq!(send().await.unwrap(), 200);
    scene.expire();
    assert_eq!(send().await.unwrap(), 200);
    scene.revoke();
    assert_eq!(send().await.unwrap(), 200);
    scene.break_down();
    scene.expire();
    assert!(send().await.unwrap_err().to_string().contains("503"));
    assert_eq!(tokens(&api.seen()).len(), 3);
}

fn agent<P: ureq_3::BlockingHeaders>(provider: P) -> ureq::Agent {
    ureq::Agent::config_builder()
        .middleware(ureq_3::Auth::new(provider))
        .build()
        .into()
}

#[test]
fn ureq_replaces_a_rejected_token_at_the_next_request() {
    let scene = Scene::new();
    let api = scene.api("{}");
    let agent = agent(scene.ours.clone());
    assert_eq!(agent.get(&api.url).call().unwrap().status(), 200);
    scene.expire();
    assert_eq!(agent.post(&api.url).send("body").unwrap().status(), 200);
    scene.revoke();
    let error = agent.get(&api.url).call().unwrap_err();
    assert!(matches!(error, ureq::Error::StatusCode(401)), "{error}");
    assert_eq!(agent.get(&api.url).call().unwrap().status(), 200);
    assert_eq!(tokens(&api.seen()).len(), 3);

    scene.break_down();
    assert_eq!(agent.get(&api.url).call().unwrap().status(), 200);
    scene.expire();
    let error = agent.get(&api.url).call().unwrap_err();
    assert!(error.to_string().contains("503"), "{error}");
    scene.heal();
    assert_eq!(agent.get(&api.url).call().unwrap().status(), 200);
}

#[test]
fn ureq_notices_a_401_that_is_no_error() {
    let scene = Scene::new();
    let api = scene.api("{}");
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .middleware(ureq_3::Auth::new(scene.ours.clone()))
        .build()
        .into();
    scene.ours.blocking_token().unwrap();
    scene.revoke();
    assert_eq!(agent.get(&api.url).call().unwrap().status(), 401);
    assert_eq!(agent.get(&api.url).call().unwrap().status(), 200);
}

#[test]
fn ureq_sends_id_tokens() {
    let scene = Scene::new();
    let ours = IdTokenCredentials::builder("https://a.example");
    let ours = ours
        .client(scene.client.clone())
        .shared(false)
        .build()
        .unwrap();
    let api = Api::start(|_, _| Reply::json(200, "{}"));
    agent(ours.clone()).get(&api.url).call().unwrap();
    assert_eq!(
        api.seen()[0].token(),
        Some(ours.cached_token().unwrap().secret())
    );
}
