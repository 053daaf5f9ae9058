//! google-cloud-auth: ours as theirs, in a client of Google's, and theirs as ours.

#![cfg(feature = "google-cloud-auth-1")]
#![allow(clippy::unwrap_used, reason = "a test says with it what it expects")]

mod support;

use std::{
    collections::HashSet,
    future::{Future, poll_fn},
    sync::Arc,
    task::Poll,
    time::Duration,
};

use gce_auth::{AuthLayer, Credentials, IdTokenCredentials, ProvideHeaders, Signer};
use gce_auth_adapters::google_cloud_auth_1 as adapter;
use gce_auth_emulator::{AdcKind, Fault};
use google_cloud_auth::credentials::{
    CacheableResource, EntityTag, external_account::ProgrammaticBuilder,
};
use google_cloud_gax::retry_policy::NeverRetry;
use google_cloud_secretmanager_v1::client::SecretManagerService;
use http::{Extensions, HeaderMap, header::AUTHORIZATION};
use http_body_util::Empty;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use support::{DEFAULT_TOKEN, Scene, api::Api, is_valid, tokens};
use tower_layer::Layer;
use tower_service::Service;

const SECRET: &str = r#"{"name":"projects/p/secrets/s/versions/1","payload":{"data":"aGVsbG8="}}"#;
const NAME: &str = "projects/p/secrets/s/versions/1";

async fn secret_manager(api: &Api, ours: &Credentials) -> SecretManagerService {
    let client = SecretManagerService::builder()
        .with_endpoint(&api.url)
        .with_retry_policy(NeverRetry);
    client
        .with_credentials(adapter::credentials(ours))
        .build()
        .await
        .unwrap()
}

/// Reads the secret; returns the status and the text of an error.
async fn read(client: &SecretManagerService) -> Result<Vec<u8>, (Option<u16>, String)> {
    let answer = client.access_secret_version().set_name(NAME).send().await;
    match answer {
        Ok(version) => Ok(version.payload.unwrap().data.to_vec()),
        Err(error) => {
            let mut text = error.to_string();
            let mut source = std::error::Error::source(&error);
            while let Some(cause) = source {
                text = format!("{text}: {cause}");
                source = cause.source();
            }
            Err((error.http_status_code(), text))
        }
    }
}

#[tokio::test]
async fn a_client_of_google_lives_through_expiry_and_an_outage() {
    let scene = Scene::new();
    let api = scene.api(SECRET);
    let client = secret_manager(&api, &scene.ours).await;
    assert_eq!(read(&client).await.unwrap(), b"hello");
    scene.expire();
    assert_eq!(read(&client).await.unwrap(), b"hello");

    scene.break_down();
    assert_eq!(read(&client).await.unwrap(), b"hello");
    scene.expire();
    let before = api.seen().len();
    let (status, text) = read(&client).await.unwrap_err();
    assert_eq!(status, None);
    assert!(text.contains("503"), "{text}");
    assert_eq!(api.seen().len(), before, "a request without a token");
    scene.heal();
    assert_eq!(read(&client).await.unwrap(), b"hello");

    let seen = api.seen();
    assert_eq!(tokens(&seen).len(), 3);
    assert!(
        seen.iter()
            .all(|seen| seen.path() == format!("/v1/{NAME}:access"))
    );
}

#[tokio::test]
async fn a_rejected_token_is_replaced_once_it_is_reported() {
    let scene = Scene::new();
    let api = scene.api(SECRET);
    let client = secret_manager(&api, &scene.ours).await;
    read(&client).await.unwrap();
    scene.revoke();
    let (status, text) = read(&client).await.unwrap_err();
    assert_eq!(status, Some(401), "{text}");
    assert!(!text.contains(&tokens(&api.seen())[0]), "{text}");
    assert!(scene.ours.invalidate(&scene.ours.cached_token().unwrap()));
    assert_eq!(read(&client).await.unwrap(), b"hello");
    assert_eq!(tokens(&api.seen()).len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn clients_of_several_accounts_share_nothing() {
    let scene = Scene::new();
    let api = scene.api(SECRET);
    for email in ["a@p.iam.gserviceaccount.com", "b@p.iam.gserviceaccount.com"] {
        let account = serde_json::json!({"email": email, "aliases": [], "scopes": ["https://www.googleapis.com/auth/cloud-platform"]});
        scene
            .emulator
            .set_json(
                &format!("instance/service-accounts/{email}"),
                &account.to_string(),
            )
            .unwrap();
    }
    let of = |email: &str, project: &str| {
        let builder = Credentials::builder()
            .client(scene.client.clone())
            .shared(false);
        builder
            .service_account(email)
            .quota_project_id(project)
            .build()
            .unwrap()
    };
    let all = [
        of("a@p.iam.gserviceaccount.com", "one"),
        of("b@p.iam.gserviceaccount.com", "two"),
        of("b@p.iam.gserviceaccount.com", "three"),
    ];
    let mut calls = tokio::task::JoinSet::new();
    for ours in &all {
        let client = secret_manager(&api, ours).await;
        for _ in 0..8 {
            let client = client.clone();
            calls.spawn(async move { read(&client).await });
        }
    }
    for read in calls.join_all().await {
        assert_eq!(read.unwrap(), b"hello");
    }
    let seen = api.seen();
    assert_eq!(seen.len(), 24);
    let pairs: HashSet<_> = seen
        .iter()
        .map(|seen| (seen.token(), seen.header("x-goog-user-project")))
        .collect();
    assert_eq!(pairs.len(), 3, "{pairs:?}");
    let tokens: HashSet<_> = pairs.iter().map(|(token, _)| token).collect();
    assert_eq!(tokens.len(), 2);
}

fn new(resource: CacheableResource<HeaderMap>) -> (EntityTag, HeaderMap) {
    match resource {
        CacheableResource::New { entity_tag, data } => (entity_tag, data),
        CacheableResource::NotModified => panic!("new headers were expected"),
    }
}

fn knowing(tag: &EntityTag) -> Extensions {
    let mut extensions = Extensions::new();
    extensions.insert(tag.clone());
    extensions
}

#[tokio::test]
async fn a_tag_says_whether_the_headers_have_changed() {
    let scene = Scene::new();
    let theirs = adapter::credentials(&scene.ours);
    let (tag, headers) = new(theirs.headers(Extensions::new()).await.unwrap());
    let token = scene.ours.cached_token().unwrap();
    assert_eq!(headers[AUTHORIZATION], format!("Bearer {}", token.secret()));
    assert!(headers[AUTHORIZATION].is_sensitive());
    let again = theirs.clone().headers(knowing(&tag)).await.unwrap();
    assert!(matches!(again, CacheableResource::NotModified));
    // A tag of other credentials is none of these.
    let (same, _) = new(theirs.headers(knowing(&EntityTag::new())).await.unwrap());
    assert_eq!(same, tag);

    scene.revoke();
    assert!(scene.ours.invalidate(&token));
    let (other, changed) = new(theirs.headers(knowing(&tag)).await.unwrap());
    assert_ne!(other, tag);
    assert_ne!(changed[AUTHORIZATION], headers[AUTHORIZATION]);
    new(theirs.headers(knowing(&tag)).await.unwrap());
    let universe = theirs.universe_domain().await;
    assert_eq!(universe.as_deref(), Some("googleapis.com"));
}

#[tokio::test]
async fn calls_at_once_and_calls_dropped_ask_once() {
    let scene = Scene::new();
    let theirs = adapter::access_token_credentials(&scene.ours);
    let late = Fault::Delay(Duration::from_millis(300));
    scene.emulator.fail_next(DEFAULT_TOKEN, 1, late);
    // The call is dropped at its first wait.
    let mut begun = Box::pin(theirs.access_token());
    let first = poll_fn(|context| Poll::Ready(begun.as_mut().poll(context))).await;
    drop((first, begun));
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let theirs = theirs.clone();
        calls.spawn(async move { theirs.access_token().await.unwrap().token });
    }
    let tokens: HashSet<_> = calls.join_all().await.into_iter().collect();
    assert_eq!(tokens.len(), 1);
    assert_eq!(scene.token_requests(), 1);
}

#[tokio::test]
async fn an_error_says_whether_to_try_again() {
    let scene = Scene::new();
    let theirs = adapter::credentials(&scene.ours);
    scene.break_down();
    let error = theirs.headers(Extensions::new()).await.unwrap_err();
    assert!(error.is_transient(), "{error}");
    let missing = Credentials::builder()
        .client(scene.client.clone())
        .service_account("nobody@p");
    scene.heal();
    let theirs = adapter::access_token_credentials(&missing.shared(false).build().unwrap());
    let error = theirs.access_token().await.unwrap_err();
    assert!(!error.is_transient(), "{error}");
}

#[tokio::test]
async fn id_tokens_and_subject_tokens_are_handed_on() {
    use google_cloud_auth::credentials::subject_token::SubjectTokenProvider;
    let scene = Scene::new();
    let ours = IdTokenCredentials::builder("https://a.example");
    let ours = ours
        .client(scene.client.clone())
        .shared(false)
        .build()
        .unwrap();
    let theirs = adapter::id_token_credentials(&ours);
    let token = theirs.id_token().await.unwrap();
    assert_eq!(token, ours.cached_token().unwrap().secret());
    let subject = adapter::subject_token_provider(&ours).subject_token().await;
    assert!(subject.is_ok());
    scene.break_down();
    scene.expire();
    let error = adapter::subject_token_provider(&ours)
        .subject_token()
        .await
        .unwrap_err();
    assert!(
        google_cloud_auth::errors::SubjectTokenProviderError::is_transient(&error),
        "{error}"
    );
    assert!(error.to_string().contains("503"), "{error}");
}

/// Their federation exchanges our ID tokens at the Security Token Service of the emulator, and what
/// it gets are the headers of a client of ours.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn their_federation_takes_our_subject_tokens_and_gives_us_its_headers() {
    let scene = Scene::new();
    let api = scene.api("{}");
    let file = scene.emulator.adc(AdcKind::ExternalAccount).unwrap();
    let file: serde_json::Value = serde_json::from_str(&file).unwrap();
    let audience = file["audience"].as_str().unwrap();
    let ours = IdTokenCredentials::builder(audience)
        .client(scene.client.clone())
        .shared(false)
        .build()
        .unwrap();
    let federation = || {
        ProgrammaticBuilder::new(Arc::new(adapter::subject_token_provider(&ours)))
            .with_audience(audience)
            .with_subject_token_type("urn:ietf:params:oauth:token-type:id_token")
            .with_token_url(format!("{}/v1/token", scene.emulator.url()))
            .with_scopes(["https://www.googleapis.com/auth/cloud-platform"])
            .with_retry_policy(NeverRetry)
            .build()
            .unwrap()
    };
    let client = |provider: adapter::Theirs| {
        let client = Client::builder(TokioExecutor::new()).build_http::<Empty<&[u8]>>();
        AuthLayer::new(provider).layer(client)
    };
    let get = || http::Request::get(&api.url).body(Empty::new()).unwrap();
    let mut working = client(adapter::provide_headers(federation()));
    assert_eq!(working.call(get()).await.unwrap().status(), 200);
    let seen = api.seen();
    let token = seen[0].token().unwrap();
    assert!(is_valid(scene.emulator.addr(), token));
    let exchanges = scene.emulator.request_count("/v1/token");
    assert_eq!(exchanges, 1);

    // Without a metadata server there is no subject token, and no request.
    scene.break_down();
    scene.expire();
    let mut broken = client(adapter::provide_headers(federation()));
    let error = broken.call(get()).await.unwrap_err();
    let error = format!("{error:?}");
    assert!(error.contains("503"), "{error}");
    assert_eq!(api.seen().len(), 1);
    scene.heal();
    let mut healed = client(adapter::provide_headers(federation()));
    assert_eq!(healed.call(get()).await.unwrap().status(), 200);
}

#[tokio::test]
async fn their_signer_signs_through_iam() {
    let scene = Scene::new();
    let ours = Signer::builder().credentials(scene.ours.clone());
    let ours = ours.iam_endpoint(scene.emulator.url()).build().unwrap();
    let theirs = adapter::signer(&ours);
    let signature = theirs.sign(b"text").await.unwrap();
    assert_eq!(
        signature,
        ours.sign_bytes(b"text").await.unwrap().into_bytes()
    );
    assert_eq!(
        theirs.client_email().await.unwrap(),
        ours.fetch_service_account_email().await.unwrap()
    );
}

#[tokio::test]
async fn theirs_are_headers_of_ours() {
    let scene = Scene::new();
    let ours = scene.ours.with_quota_project("payer").unwrap();
    let back = adapter::provide_headers(adapter::credentials(&ours));
    let headers = back.provide_headers().await.unwrap();
    assert_eq!(headers, ours.headers().await.unwrap());
    let names: Vec<_> = headers.iter().map(|(name, _)| name.to_string()).collect();
    assert_eq!(names, ["authorization", "x-goog-user-project"]);

    let key = google_cloud_auth::credentials::api_key_credentials::Builder::new("AIza").build();
    let error = adapter::provide_headers(key)
        .provide_headers()
        .await
        .unwrap_err();
    assert!(error.to_string().contains("bearer token"), "{error}");
    assert!(!error.to_string().contains("AIza"), "{error}");
}
