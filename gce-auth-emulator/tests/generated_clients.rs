//! What generated clients of Google's APIs send, as those for Java do: Base64 in the alphabet of
//! URLs, and compressed bodies.

#![allow(clippy::unwrap_used, reason = "a test says with it what it expects")]

mod client;

use std::io::Write;

use client::{
    cloud::{SCOPE, iam, post},
    request, token,
};
use flate2::{Compression, write::GzEncoder};
use gce_auth_emulator::Emulator;
use serde_json::json;

const ROBOT: &str = "robot@my-project.iam.gserviceaccount.com";

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = GzEncoder::new(Vec::new(), Compression::default());
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}

fn generate(emulator: &Emulator, encoding: &str, body: &[u8]) -> u16 {
    let bearer = format!("Bearer {}", token(emulator.addr(), "default"));
    let headers = [
        ("Authorization", &*bearer),
        ("Content-Type", "application/json"),
        ("Content-Encoding", encoding),
    ];
    let path = format!("/v1/projects/-/serviceAccounts/{ROBOT}:generateAccessToken");
    request(emulator.addr(), "POST", &path, &headers, body).status
}

#[test]
fn a_compressed_body_is_read() {
    let emulator = Emulator::builder().start().unwrap();
    let body = json!({"scope": [SCOPE]}).to_string();
    assert_eq!(generate(&emulator, "gzip", &gzip(body.as_bytes())), 200);
    assert_eq!(generate(&emulator, "X-GZip", &gzip(body.as_bytes())), 200);
    assert_eq!(generate(&emulator, "identity", body.as_bytes()), 200);
    let form = gzip(b"grant_type=refresh_token&refresh_token=x&client_id=a&client_secret=b");
    let headers = [
        ("Content-Type", "application/x-www-form-urlencoded"),
        ("Content-Encoding", "gzip"),
    ];
    let read = request(emulator.addr(), "POST", "/token", &headers, &form);
    let plain = [
        ("grant_type", "refresh_token"),
        ("refresh_token", "x"),
        ("client_id", "a"),
        ("client_secret", "b"),
    ];
    assert_eq!(read.text(), post(&emulator, "/token", &plain, &[]).text());
    // What is compressed is not shown: it could hold a secret.
    assert!(
        emulator
            .requests()
            .iter()
            .filter(|request| request.header("content-encoding") == Some("gzip"))
            .all(|request| request.body.is_none() && request.body_base64.is_none())
    );
}

#[test]
fn a_body_that_cannot_be_unpacked_is_refused() {
    let emulator = Emulator::builder().start().unwrap();
    let whole = gzip(json!({"scope": [SCOPE]}).to_string().as_bytes());
    let (cut, mut wrong) = (&whole[..whole.len() - 9], whole.clone());
    *wrong.last_mut().unwrap() ^= 1;
    // A megabyte at most, however small it is packed.
    let bomb = gzip(&vec![b' '; (1 << 20) + 1]);
    assert!(bomb.len() < 4096);
    for body in [cut, &wrong, &bomb, b"{}", b""] {
        assert_eq!(generate(&emulator, "gzip", body), 400, "{}", body.len());
    }
    assert_eq!(generate(&emulator, "br", &whole), 400);
    assert_eq!(generate(&emulator, "gzip", &gzip(b"{}")), 400);
}

#[test]
fn bytes_come_in_either_alphabet_with_or_without_padding() {
    let emulator = Emulator::builder().start().unwrap();
    let bearer = token(emulator.addr(), "default");
    let sign = |payload: &str| {
        let call = format!("{ROBOT}:signBlob");
        iam(&emulator, &bearer, &call, &json!({"payload": payload}))
    };
    let signed = sign("+/8=").json()["signedBlob"].clone();
    for payload in ["-_8=", "-_8", "+/8"] {
        let answer = sign(payload);
        assert_eq!(answer.status, 200, "{payload}: {}", answer.text());
        assert_eq!(answer.json()["signedBlob"], signed, "{payload}");
    }
    for payload in ["*", "+_8=", "a", "YQ==="] {
        assert_eq!(sign(payload).status, 400, "{payload}");
    }
}
