//! Each example, run as a user runs it, against the emulator and APIs that check its token. The
//! four for PostgreSQL run in `postgres.rs`, the two of OpenTelemetry in `grpc.rs`.

#![cfg(all(
    feature = "axum-0_8",
    feature = "gcp_auth-0_12",
    feature = "google-cloud-auth-1",
    feature = "google-cloud-token-0_1",
    feature = "object_store-0_14",
    feature = "opendal-0_59",
    feature = "reqwest-middleware-0_5",
    feature = "ureq-3"
))]
#![allow(clippy::unwrap_used, reason = "a test says with it what it expects")]

mod support;

use std::time::Duration;

use gce_auth::{IdTokenCredentials, IdTokenFormat};
use gce_auth_emulator::Fault;
use support::{
    DEFAULT_TOKEN, Scene,
    example::{Service, example, run},
    exchange, is_valid,
    store::{self, Proxy},
};

const HOUR: Duration = Duration::from_secs(3600);

#[test]
fn examples_that_get_a_url_show_a_valid_token() {
    let scene = Scene::new();
    let api = scene.api("{}");
    for name in ["hyper_util", "reqwest", "reqwest_middleware", "ureq"] {
        let before = api.seen().len();
        let said = run(example(name, scene.emulator.addr()).arg(&api.url));
        assert_eq!(said, "200 OK\n", "{name}");
        assert_eq!(api.seen().len(), before + 1, "{name}");
    }
    let said = run(example("reqsign", scene.emulator.addr()).arg(&api.url));
    assert!(said.contains("authorization"), "{said}");
    assert!(!said.contains("ya29."), "{said}");
}

#[test]
fn examples_that_give_a_library_a_token_have_one() {
    let scene = Scene::new();
    for name in ["gcp_auth", "google_cloud_token"] {
        let said = run(&mut example(name, scene.emulator.addr()));
        let length: Vec<_> = said.chars().filter(char::is_ascii_digit).collect();
        let length: usize = String::from_iter(length).parse().unwrap();
        assert!(length > 100, "{name}: {said}");
    }
    assert_eq!(scene.token_requests(), 2);
}

/// Clients that know Google by its names alone go through a proxy that is these hosts.
#[test]
fn examples_of_googles_apis_are_answered() {
    let scene = Scene::new();
    let bucket = store::start(&scene);
    let secrets = scene.api(
        r#"{"name":"projects/p/secrets/s/versions/1","payload":{"data":"aGVsbG8=","dataCrc32c":"2591144780"}}"#,
    );
    let put = format!(
        "PUT /bucket/object HTTP/1.1\r\nauthorization: Bearer {}\r\nconnection: close\r\ncontent-length: 5\r\n\r\nhello",
        scene.ours.blocking_token().unwrap().secret()
    );
    assert!(exchange(bucket.address, put.as_bytes()).starts_with("HTTP/1.1 200"));
    let proxy = Proxy::with(
        &scene,
        &[
            ("storage.googleapis.com", bucket.address),
            ("secretmanager.googleapis.com", secrets.address),
        ],
    );
    let folder = std::env::temp_dir().join(format!("gce-auth-examples-{}", std::process::id()));
    std::fs::write(&folder, &proxy.certificate).unwrap();
    let through_proxy = |name: &str, arguments: &[&str]| {
        run(example(name, scene.emulator.addr())
            .args(arguments)
            .env("HTTPS_PROXY", &proxy.url)
            .env("NO_PROXY", "127.0.0.1")
            .env("SSL_CERT_FILE", &folder))
    };
    let version = "projects/p/secrets/s/versions/latest";
    let said = through_proxy("google_cloud_auth", &[version]);
    assert_eq!(said, "the secret has 5 bytes\n");
    assert_eq!(through_proxy("opendal", &["bucket", "object"]), "5 bytes\n");
    let said = through_proxy("object_store", &["bucket", "object"]);
    assert!(said.starts_with("5 bytes; for 10 minutes also at https://storage.googleapis.com/"));
    std::fs::remove_file(&folder).unwrap();
}

#[test]
fn the_example_of_axum_lets_in_callers_by_their_token() {
    const AUDIENCE: &str = "https://a.example";
    let scene = Scene::new();
    let email = scene.ours.blocking_account().unwrap().email().to_owned();
    let keys = format!("{}/oauth2/v3/certs", scene.emulator.url());
    let header = |audience: &str| {
        let ours = IdTokenCredentials::builder(audience)
            .client(scene.client.clone())
            .format(IdTokenFormat::Full);
        let token = ours
            .shared(false)
            .build()
            .unwrap()
            .blocking_token()
            .unwrap();
        format!("authorization: Bearer {}\r\n", token.secret())
    };
    for (admin, admitted) in [(&*email, "HTTP/1.1 200"), ("other@p", "HTTP/1.1 403")] {
        let mut command = example("axum", scene.emulator.addr());
        let service = Service::start(command.args([AUDIENCE, admin, "127.0.0.1:0", &keys]));
        let answer = service.get("/", &header(AUDIENCE));
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert!(answer.ends_with(&format!("hello, {email}\n")), "{answer}");
        let answer = service.get("/admin", &header(AUDIENCE));
        assert!(answer.starts_with(admitted), "{admin}: {answer}");
        for path in ["/", "/admin"] {
            for (headers, challenge) in [
                (String::new(), "www-authenticate: bearer\r\n"),
                (
                    header("https://other.example"),
                    "www-authenticate: bearer error=\"invalid_token\"\r\n",
                ),
            ] {
                let answer = service.get(path, &headers).to_ascii_lowercase();
                assert!(answer.starts_with("http/1.1 401"), "{answer}");
                assert!(answer.contains(challenge), "{answer}");
            }
        }
    }
}

#[test]
fn the_example_of_a_service_lists_a_bucket_and_is_ready_once_it_has_a_token() {
    let scene = Scene::new();
    let storage = scene.api("{\"items\":[]}");
    let start = || {
        let mut command = example("service", scene.emulator.addr());
        let command = command.env("BUCKET", "mine").env("STORAGE", &storage.url);
        Service::start(command.arg("127.0.0.1:0"))
    };
    let service = start();
    assert!(service.get("/ready", "").starts_with("HTTP/1.1 200"));
    let answer = service.get("/", "");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.ends_with("{\"items\":[]}"), "{answer}");
    let seen = storage.seen();
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].path(), "/storage/v1/b/mine/o");
    assert!(is_valid(scene.emulator.addr(), seen[0].token().unwrap()));

    // A server that has no token when the program starts.
    let late = start();
    let fault = Fault::Status {
        code: 404,
        retry_after: None,
    };
    scene.emulator.fail_for(DEFAULT_TOKEN, HOUR, fault);
    assert!(late.get("/ready", "").starts_with("HTTP/1.1 503"));
    assert!(late.get("/", "").starts_with("HTTP/1.1 502"));
    assert_eq!(storage.seen().len(), 1, "a request without a token");
    assert!(service.get("/", "").starts_with("HTTP/1.1 200"));
}
