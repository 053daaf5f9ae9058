//! An axum service: which callers it lets in, and what the others are told.

#![cfg(feature = "axum-0_8")]
#![allow(clippy::unwrap_used, reason = "a test says with it what it expects")]

mod support;

use std::{net::SocketAddr, time::Duration};

use axum::{Extension, Router, routing::get};
use gce_auth::{IdTokenCredentials, IdTokenFormat, IdTokenVerifier};
use gce_auth_adapters::axum_0_8::{Identity, Rejection, RequireIdentity};
use support::{Scene, exchange};

const AUDIENCE: &str = "https://service.example";
const OTHER: &str = "https://other.example";

async fn hello(Identity(caller): Identity) -> String {
    caller.email().unwrap_or_default().to_owned()
}

fn verifier(scene: &Scene, audience: &str) -> IdTokenVerifier {
    IdTokenVerifier::builder()
        .audience(audience)
        .client(scene.client.clone())
        .jwks_url(format!("{}/oauth2/v3/certs", scene.emulator.url()))
        .build()
        .unwrap()
}

async fn serve(router: Router) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    address
}

/// Sends `GET /` with these headers; returns the answer as it came, in lower case.
async fn ask(address: SocketAddr, headers: &str) -> String {
    let request = format!("GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n{headers}\r\n");
    let ask = move || exchange(address, request.as_bytes());
    tokio::task::spawn_blocking(ask)
        .await
        .unwrap()
        .to_lowercase()
}

async fn token(scene: &Scene, audience: &str) -> String {
    let builder = IdTokenCredentials::builder(audience).client(scene.client.clone());
    let ours = builder
        .format(IdTokenFormat::Full)
        .shared(false)
        .build()
        .unwrap();
    ours.token().await.unwrap().secret().to_owned()
}

async fn header(scene: &Scene, audience: &str) -> String {
    format!("authorization: Bearer {}\r\n", token(scene, audience).await)
}

#[tokio::test]
async fn only_callers_with_a_valid_token_are_let_in() {
    let scene = Scene::new();
    let router = Router::new().route("/", get(hello));
    let address = serve(router.with_state(verifier(&scene, AUDIENCE))).await;
    let good = token(&scene, AUDIENCE).await;
    let other = token(&scene, OTHER).await;

    for accepted in [
        format!("authorization: Bearer {good}\r\n"),
        format!("authorization: bearer  {good}\r\n"),
        format!("x-serverless-authorization: bearer {good}\r\n"),
        format!("authorization: Basic YTpi\r\nx-serverless-authorization: Bearer {good}\r\n"),
        format!("authorization: Bearer {good}\r\nx-serverless-authorization: Bearer {other}\r\n"),
    ] {
        let answer = ask(address, &accepted).await;
        assert!(answer.starts_with("http/1.1 200"), "{answer}");
        assert!(answer.contains("gserviceaccount.com"), "{answer}");
    }
    for missing in [
        "",
        "authorization: Basic YTpi\r\n",
        "authorization: Bearer\r\n",
    ] {
        let answer = ask(address, missing).await;
        assert!(answer.starts_with("http/1.1 401"), "{missing}: {answer}");
        assert!(
            answer.contains("www-authenticate: bearer\r\n"),
            "{missing}: {answer}"
        );
    }
    let (head, signature) = good.rsplit_once('.').unwrap();
    for invalid in [
        format!("authorization: Bearer {other}\r\n"),
        format!("authorization: Bearer {other}\r\nx-serverless-authorization: Bearer {good}\r\n"),
        format!(
            "authorization: Bearer {head}.{}\r\n",
            signature.replace('A', "B")
        ),
        format!("authorization: Bearer {head}.\r\n"),
        "authorization: Bearer a.b.c\r\n".to_owned(),
        "authorization: Bearer \r\n"
            .to_owned()
            .replace("Bearer ", "Bearer ."),
    ] {
        let answer = ask(address, &invalid).await;
        assert!(answer.starts_with("http/1.1 401"), "{answer}");
        assert!(
            answer.contains("www-authenticate: bearer error=\"invalid_token\"\r\n"),
            "{answer}"
        );
        assert!(answer.contains("content-length: 0"), "{answer}");
    }
    let twice = format!("authorization: Bearer {good}\r\nauthorization: Bearer {other}\r\n");
    let answer = ask(address, &twice).await;
    assert!(answer.starts_with("http/1.1 400"), "{answer}");
}

#[tokio::test]
async fn an_expired_token_is_refused() {
    let scene = Scene::new();
    let router = Router::new().route("/", get(hello));
    let address = serve(router.with_state(verifier(&scene, AUDIENCE))).await;
    let header = header(&scene, AUDIENCE).await;
    assert!(ask(address, &header).await.starts_with("http/1.1 200"));
    scene.expire();
    let answer = ask(address, &header).await;
    assert!(answer.starts_with("http/1.1 401"), "{answer}");
}

#[tokio::test]
async fn a_layer_turns_callers_away() {
    let scene = Scene::new();
    let email = scene.ours.account().await.unwrap().email().to_owned();
    let guarded = |allowed: String| {
        let layer = RequireIdentity::new(verifier(&scene, AUDIENCE));
        let layer = layer.allow(|caller| caller.is_email_verified());
        let layer = layer.allow(move |caller| caller.email() == Some(&allowed));
        let name =
            async |Extension(caller): Extension<Identity>| caller.0.email().unwrap().to_owned();
        Router::new().route("/", get(name)).layer(layer)
    };
    let header = header(&scene, AUDIENCE).await;
    let allowed = serve(guarded(email.clone())).await;
    assert!(ask(allowed, &header).await.ends_with(&email));
    let forbidden = serve(guarded("else@p".to_owned())).await;
    let answer = ask(forbidden, &header).await;
    assert!(
        answer.starts_with("http/1.1 403") && !answer.contains("www-authenticate"),
        "{answer}"
    );
    assert!(ask(forbidden, "").await.starts_with("http/1.1 401"));
}

#[tokio::test]
async fn a_handler_turns_callers_away() {
    let scene = Scene::new();
    async fn only_else(identity: Identity) -> Result<&'static str, Rejection> {
        identity.allow(|caller| caller.email() == Some("else@p"))?;
        Ok("in")
    }
    let router = Router::new().route("/", get(only_else));
    let address = serve(router.with_state(verifier(&scene, AUDIENCE))).await;
    let header = header(&scene, AUDIENCE).await;
    assert!(ask(address, &header).await.starts_with("http/1.1 403"));
}

/// A layer for one audience does not open a router of another.
#[tokio::test]
async fn each_verifier_answers_for_itself() {
    let scene = Scene::new();
    let router = Router::new().route("/", get(hello));
    let router = router.with_state(verifier(&scene, OTHER));
    let router = router.layer(RequireIdentity::new(verifier(&scene, AUDIENCE)));
    let address = serve(router).await;
    let header = header(&scene, AUDIENCE).await;
    assert!(ask(address, &header).await.starts_with("http/1.1 401"));
}

/// Both sides: reqwest with our ID tokens, and axum behind our layer.
#[cfg(feature = "reqwest-0_13")]
#[tokio::test]
async fn a_client_of_ours_is_let_in_through_expiry_and_an_outage() {
    use gce_auth_adapters::reqwest_0_13::Authorize;

    let scene = Scene::new();
    let email = scene.ours.account().await.unwrap().email().to_owned();
    let layer = RequireIdentity::new(verifier(&scene, AUDIENCE))
        .allow(move |caller| caller.is_email_verified() && caller.email() == Some(&email));
    let router = Router::new().route("/", get(async || "in")).layer(layer);
    let url = format!("http://{}/", serve(router).await);
    let caller = |audience: &str| {
        let ours = IdTokenCredentials::builder(audience).client(scene.client.clone());
        ours.format(IdTokenFormat::Full)
            .shared(false)
            .build()
            .unwrap()
    };
    let (ours, other) = (caller(AUDIENCE), caller(OTHER));
    let client = reqwest::Client::new();
    let send = async |ours: &IdTokenCredentials| {
        let request = client.get(&url).authorize(ours).await?;
        Ok::<_, gce_auth::Error>(request.send().await.unwrap().status())
    };
    assert_eq!(send(&ours).await.unwrap(), 200);
    assert_eq!(send(&other).await.unwrap(), 401);
    scene.expire();
    assert_eq!(send(&ours).await.unwrap(), 200);
    scene.break_down();
    assert_eq!(send(&ours).await.unwrap(), 200);
    scene.expire();
    assert_eq!(send(&ours).await.unwrap_err().status(), Some(503));
    scene.heal();
    assert_eq!(send(&ours).await.unwrap(), 200);
}

#[tokio::test]
async fn missing_keys_are_no_fault_of_the_caller() {
    let scene = Scene::new();
    let header = header(&scene, AUDIENCE).await;
    let fault = gce_auth_emulator::Fault::Status {
        code: 503,
        retry_after: None,
    };
    scene
        .emulator
        .fail_for("/oauth2/v3/certs", Duration::from_secs(3600), fault);
    let router = Router::new().route("/", get(hello));
    let address = serve(router.with_state(verifier(&scene, AUDIENCE))).await;
    let answer = ask(address, &header).await;
    assert!(answer.starts_with("http/1.1 503"), "{answer}");
    scene.heal();
    assert!(ask(address, &header).await.starts_with("http/1.1 200"));
}
