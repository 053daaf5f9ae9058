//! Every helper takes the source and the narrowing that `gce-auth token` has.
#![allow(clippy::unwrap_used, reason = "a test says with it what it expects")]

mod support;

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    process::Stdio,
};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use gce_auth_emulator::{Account, AdcKind, Emulator};
use serde_json::Value;
use support::{Ran, gce_auth};

const READER: &str = "reader@p.iam.gserviceaccount.com";
const SCOPE: &str = "https://www.googleapis.com/auth/devstorage.read_only";

/// A helper: its arguments, and what its tool writes.
type Helper = (&'static [&'static str], &'static str);

const HELPERS: [Helper; 13] = [
    (&["docker", "get"], "us-docker.pkg.dev"),
    (&["kubectl"], ""),
    (
        &["kubelet"],
        r#"{"apiVersion":"credentialprovider.kubelet.k8s.io/v1","kind":"CredentialProviderRequest","image":"gcr.io/p/i"}"#,
    ),
    (&["git", "get"], "protocol=https\nhost=googlesource.com\n\n"),
    (
        &["cargo"],
        "{\"v\":1,\"kind\":\"get\",\"registry\":{\"index-url\":\"sparse+https://us-cargo.pkg.dev/\"}}\n",
    ),
    (&["bazel", "get"], r#"{"uri":"https://gcr.io/p"}"#),
    (&["goauth", "https://us-go.pkg.dev/p/r"], ""),
    (
        &["npmrc", "--registries", "https://us-npm.pkg.dev/p/r/"],
        "",
    ),
    (&["index-url", "https://us-python.pkg.dev/p/r/simple/"], ""),
    (&["maven", "--servers", "a"], ""),
    (&["gradle", "--repository", "a"], ""),
    (&["export"], ""),
    // Its own arguments come last.
    (
        &["keyring", "get", "us-python.pkg.dev", "oauth2accesstoken"],
        "",
    ),
];

/// An emulator with two accounts, and a credentials file of the first.
fn world(name: &str) -> (Emulator, PathBuf) {
    let server = Emulator::builder()
        .account(Account::new("robot@p.iam.gserviceaccount.com"))
        .account(Account::new(READER))
        .start()
        .unwrap();
    let file = format!("helpers-options-{name}.json");
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(file);
    fs::write(&file, server.adc(AdcKind::ServiceAccount).unwrap()).unwrap();
    (server, file)
}

/// Runs a helper with these options, where no metadata server is to be asked.
fn run(helper: Helper, options: &[&str], server: &Emulator) -> String {
    let (arguments, input) = helper;
    let (name, rest) = arguments.split_first().unwrap();
    let mut command = gce_auth(&[&["helper", name], options, rest].concat());
    let mut child = command
        .env("GCE_METADATA_HOST", support::closed_port().to_string())
        .env("GCE_AUTH_TRUST_HOSTS", server.addr().to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Not every helper reads.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    Ran::new(child.wait_with_output().unwrap()).value()
}

/// The access token in what a helper said.
fn token(said: &str) -> &str {
    let start = said.find("ya29.").unwrap_or_else(|| panic!("{said}"));
    let rest = &said[start..];
    let is_end = |byte: char| !byte.is_ascii_alphanumeric() && !"._-".contains(byte);
    &rest[..rest.find(is_end).unwrap_or(rest.len())]
}

fn tokeninfo(server: &Emulator, token: &str) -> Value {
    let mut stream = TcpStream::connect(server.addr()).unwrap();
    let request = format!(
        "GET /tokeninfo?access_token={token} HTTP/1.1\r\nhost: oauth2.googleapis.com\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    serde_json::from_str(body).unwrap_or_else(|_| panic!("{answer}"))
}

#[test]
fn each_helper_takes_a_source_an_account_and_scopes() {
    let (server, file) = world("access");
    let url = server.url();
    let options = [
        "--source",
        file.to_str().unwrap(),
        "--as",
        READER,
        "--iam-endpoint",
        &url,
        "--scopes",
        SCOPE,
    ];
    for helper in HELPERS {
        let said = run(helper, &options, &server);
        let info = tokeninfo(&server, token(&said));
        assert_eq!(info["email"], READER, "{:?}: {info}", helper.0);
        assert_eq!(info["scope"], SCOPE, "{:?}: {info}", helper.0);
    }
    let asked = server.requests();
    assert!(
        asked.iter().all(|it| !it.path.contains("computeMetadata")),
        "{asked:?}"
    );
}

#[test]
fn an_executable_takes_a_source_and_an_account() {
    let (server, file) = world("identity");
    let url = server.url();
    let options = [
        "--source",
        file.to_str().unwrap(),
        "--as",
        READER,
        "--iam-endpoint",
        &url,
        "--audience",
        "https://a.example",
    ];
    let said = run((&["executable"], ""), &options, &server);
    let said: Value = serde_json::from_str(&said).unwrap();
    let claims = said["id_token"]
        .as_str()
        .unwrap()
        .split('.')
        .nth(1)
        .unwrap();
    let claims = BASE64_URL_SAFE_NO_PAD.decode(claims).unwrap();
    let claims: Value = serde_json::from_slice(&claims).unwrap();
    assert_eq!(claims["aud"], "https://a.example");
    assert_eq!(claims["email"], READER, "{claims}");
}
