//! opendal and reqsign against a store that checks tokens and signatures.

#![cfg(all(feature = "opendal-0_59", feature = "reqwest-0_13"))]
#![allow(clippy::unwrap_used, reason = "a test says with it what it expects")]

mod support;

use std::{process::Command, time::Duration};

use gce_auth_adapters::{
    opendal_0_59::Authorize,
    reqsign_core_3::{Provider, credential_provider},
};
use http::Request;
use opendal::{HttpTransporter, Operator, services::Gcs};
use opendal_http_transport_reqwest::ReqwestTransport;
use support::{
    Scene,
    api::{Api, Reply},
    store::{self, Proxy, fetch},
    tokens,
};

const MINUTE: Duration = Duration::from_secs(60);

fn operator(scene: &Scene, api: &Api, provider: Provider) -> Operator {
    let proxy = Proxy::start(scene);
    let root = reqwest::Certificate::from_pem(proxy.certificate.as_bytes()).unwrap();
    let proxy = reqwest::Proxy::https(proxy.url).unwrap();
    let client = reqwest::Client::builder()
        .proxy(proxy)
        .tls_certs_only([root])
        .build()
        .unwrap();
    let service = Gcs::default()
        .bucket("bucket")
        .endpoint(&api.url)
        .authorize_with(provider);
    let operator = Operator::new(service).unwrap();
    let context = operator
        .context()
        .with_http_transport(HttpTransporter::new(ReqwestTransport::new(client)));
    operator.with_context(context)
}

#[tokio::test]
async fn opendal_writes_and_reads() {
    let scene = Scene::new();
    let api = store::start(&scene);
    let operator = operator(&scene, &api, credential_provider(&scene.ours));
    operator.write("object", "hello").await.unwrap();
    let read = async || Ok::<_, opendal::Error>(operator.read("object").await?.to_vec());
    assert_eq!(read().await.unwrap(), b"hello");
    scene.expire();
    assert_eq!(read().await.unwrap(), b"hello");

    // reqsign does not hold on to a token that was invalidated.
    scene.revoke();
    assert!(read().await.is_err());
    assert!(scene.ours.invalidate(&scene.ours.cached_token().unwrap()));
    assert_eq!(read().await.unwrap(), b"hello");

    scene.break_down();
    assert_eq!(read().await.unwrap(), b"hello");
    scene.expire();
    // opendal keeps the cause to itself, and takes no other identity.
    let before = api.seen().len();
    let error = format!("{:?}", read().await.unwrap_err());
    assert!(
        error.contains("failed to load signing credential"),
        "{error}"
    );
    assert_eq!(api.seen().len(), before);
    scene.heal();
    assert_eq!(read().await.unwrap(), b"hello");
    assert_eq!(tokens(&api.seen()).len(), 4);
}

/// Where the token cannot be had, opendal does not take the identity of the machine: another
/// emulator, in the environment of a process of its own.
#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "opendal reads the environment")]
async fn opendal_takes_no_other_identity() {
    const NAME: &str = "opendal_takes_no_other_identity";
    let scene = Scene::new();
    if std::env::var_os("GCE_METADATA_HOST").is_none() {
        let machine = scene.emulator.addr().to_string();
        let mut again = Command::new(std::env::current_exe().unwrap());
        again
            .args(["--exact", NAME])
            .env("GCE_METADATA_HOST", machine);
        let output = tokio::task::spawn_blocking(move || again.output())
            .await
            .unwrap()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success() && said.contains("1 passed"),
            "{said}"
        );
        assert!(scene.emulator.requests().is_empty());
        return;
    }
    let api = Api::start(|_, _| Reply::json(500, "{}"));
    scene.break_down();
    let operator = operator(&scene, &api, credential_provider(&scene.ours));
    assert!(operator.read("object").await.is_err());
    assert!(api.seen().is_empty());
}

#[tokio::test]
async fn opendal_signs_urls_through_iam() {
    let scene = Scene::new();
    let api = store::start(&scene);
    let email = scene.ours.account().await.unwrap().email().to_owned();
    let provider = credential_provider(&scene.ours).with_signer_email(email);
    let operator = operator(&scene, &api, provider);
    operator.write("object", "hello").await.unwrap();
    let signed = operator.presign_read("object", MINUTE).await.unwrap();
    let answer = fetch("GET", &signed.uri().to_string(), "").await;
    assert!(answer.ends_with("hello"), "{answer}");
}

#[tokio::test]
async fn reqsign_asks_for_each_signature() {
    let scene = Scene::new();
    let provider = credential_provider(&scene.ours);
    let signer = reqsign_core::Signer::new(
        reqsign_core::Context::new(),
        provider,
        reqsign_google::RequestSigner::new("storage"),
    );
    let sign = async || {
        let (mut parts, ()) = Request::get("https://storage.googleapis.com/b/o")
            .body(())
            .unwrap()
            .into_parts();
        signer.sign(&mut parts, None).await?;
        Ok::<_, reqsign_core::Error>(parts.headers["authorization"].to_str().unwrap().to_owned())
    };
    let first = sign().await.unwrap();
    assert_eq!(sign().await.unwrap(), first);
    assert_eq!(scene.token_requests(), 1);
    let token = scene.ours.cached_token().unwrap();
    assert_eq!(first, format!("Bearer {}", token.secret()));
    scene.revoke();
    assert!(scene.ours.invalidate(&token));
    assert_ne!(sign().await.unwrap(), first);

    scene.break_down();
    scene.expire();
    let error = sign().await.unwrap_err();
    assert!(error.is_retryable(), "{error}");
    assert!(error.to_string().contains("503"), "{error}");
    scene.heal();
    let token = format!("Bearer {}", scene.ours.token().await.unwrap().secret());
    assert_eq!(sign().await.unwrap(), token);
}
