//! Each example, run as a user runs it, against the emulator and APIs that check its token. The four
//! for PostgreSQL run in `postgres.rs`, the two of OpenTelemetry in `grpc.rs`.

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

use std::{
    io::{BufRead, BufReader},
    process::{Child, Stdio},
};

use support::{
    Scene,
    example::{example, run},
    exchange,
    store::{self, Proxy},
};

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

/// A caller without a token is all that can be shown offline: the keys are Google's own.
#[test]
fn the_example_of_a_service_refuses_a_caller_without_a_token() {
    struct Service(Child);
    impl Drop for Service {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }
    let scene = Scene::new();
    let mut command = example("axum", scene.emulator.addr());
    command.args(["https://a.example", "127.0.0.1:0"]);
    let mut service = Service(command.stdout(Stdio::piped()).spawn().unwrap());
    let mut line = String::new();
    let stdout = service.0.stdout.take().unwrap();
    BufReader::new(stdout).read_line(&mut line).unwrap();
    let address = line.trim().strip_prefix("listening on http://").unwrap();
    let request = b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    let answer = exchange(address.parse().unwrap(), request);
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
    assert!(
        answer
            .to_ascii_lowercase()
            .contains("www-authenticate: bearer"),
        "{answer}"
    );
}
