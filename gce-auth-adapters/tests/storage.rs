//! object_store, opendal and reqsign against a store that checks tokens and signatures.

#![cfg(all(feature = "object_store-0_14", feature = "opendal-0_59"))]
#![allow(clippy::unwrap_used, reason = "a test says with it what it expects")]

mod support;

use std::{process::Command, time::Duration};

use gce_auth_adapters::{
    object_store_0_14::Authorize as _,
    opendal_0_59::Authorize as _,
    reqsign_core_3::{self, Provider, credential_provider},
};
use http::{Method, Request};
use object_store::{
    Certificate, ClientOptions, ObjectStoreExt, RetryConfig,
    gcp::{GoogleCloudStorage, GoogleCloudStorageBuilder},
    path::Path,
    signer::Signer,
};
use opendal::{HttpTransporter, Operator, services::Gcs};
use opendal_http_transport_reqwest::ReqwestTransport;
use support::{
    Scene,
    api::{Api, Reply},
    exchange,
    store::{self, Proxy},
    tokens,
};

const MINUTE: Duration = Duration::from_secs(60);

fn object_store(scene: &Scene, api: &Api) -> GoogleCloudStorage {
    let proxy = Proxy::start(scene);
    let root = Certificate::from_pem(proxy.certificate.as_bytes()).unwrap();
    let options = ClientOptions::new()
        .with_allow_http(true)
        .with_root_certificate(root)
        .with_proxy_url(proxy.url)
        .with_proxy_excludes("127.0.0.1");
    GoogleCloudStorageBuilder::new()
        .with_bucket_name("bucket")
        .with_base_url(&api.url)
        .with_client_options(options)
        .with_retry(RetryConfig {
            max_retries: 0,
            ..RetryConfig::default()
        })
        .authorize(&scene.ours)
        .build()
        .unwrap()
}

/// Sends a request without a token to a signed URL; returns the answer.
async fn fetch(method: &str, url: &str, body: &str) -> String {
    let (host, target) = url
        .strip_prefix("http://")
        .unwrap()
        .split_once('/')
        .unwrap();
    let request = format!(
        "{method} /{target} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let address = host.parse().unwrap();
    tokio::task::spawn_blocking(move || exchange(address, request.as_bytes()))
        .await
        .unwrap()
}

#[tokio::test]
async fn object_store_puts_and_gets() {
    let scene = Scene::new();
    let api = store::start(&scene);
    let store = object_store(&scene, &api);
    let path = Path::from("object");
    store.put(&path, "hello".into()).await.unwrap();
    let get = async || store.get(&path).await?.bytes().await;
    assert_eq!(get().await.unwrap(), "hello");
    scene.expire();
    assert_eq!(get().await.unwrap(), "hello");

    scene.revoke();
    let error = get().await.unwrap_err();
    assert!(
        matches!(error, object_store::Error::Unauthenticated { .. }),
        "{error}"
    );
    assert!(scene.ours.invalidate(&scene.ours.cached_token().unwrap()));
    assert_eq!(get().await.unwrap(), "hello");

    scene.break_down();
    assert_eq!(get().await.unwrap(), "hello");
    scene.expire();
    let error = get().await.unwrap_err().to_string();
    assert!(error.contains("503"), "{error}");
    scene.heal();
    assert_eq!(get().await.unwrap(), "hello");
    assert_eq!(tokens(&api.seen()).len(), 4);
}

#[tokio::test]
async fn object_store_signs_urls_through_iam() {
    let scene = Scene::new();
    let api = store::start(&scene);
    let store = object_store(&scene, &api);
    let path = Path::from("signed");
    let put = store.signed_url(Method::PUT, &path, MINUTE).await.unwrap();
    let answer = fetch("PUT", put.as_str(), "hello").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let get = store.signed_url(Method::GET, &path, MINUTE).await.unwrap();
    assert!(fetch("GET", get.as_str(), "").await.ends_with("hello"));
    // The signature is of this method and this object.
    for (method, url) in [
        ("PUT", get.as_str().to_owned()),
        ("GET", get.as_str().replace("signed", "other")),
    ] {
        let answer = fetch(method, &url, "").await;
        assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
    }
}

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
    // opendal keeps the cause to itself, and takes nobody else's token.
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

/// Where the token cannot be had, opendal does not take the identity of the machine: another emulator,
/// in the environment of a process of its own.
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
    let email = scene.ours.account().await.unwrap().email;
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
    let provider = reqsign_core_3::credential_provider(&scene.ours);
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
}
