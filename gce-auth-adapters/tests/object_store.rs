//! object_store against a store that checks tokens and signatures.

#![cfg(feature = "object_store-0_14")]
#![allow(clippy::unwrap_used, reason = "a test says with it what it expects")]

mod support;

use std::time::Duration;

use gce_auth_adapters::object_store_0_14::Authorize;
use http::Method;
use object_store::{
    Certificate, ClientOptions, ObjectStoreExt, RetryConfig,
    gcp::{GoogleCloudStorage, GoogleCloudStorageBuilder},
    path::Path,
    signer::Signer,
};
use support::{
    Scene,
    api::Api,
    store::{self, Proxy, fetch},
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
