//! Tokens, identities, signatures: what they say, and that they verify.

#![allow(clippy::unwrap_used, reason = "a test says with it what it expects")]

#[path = "../client/mod.rs"]
mod client;
mod iam;
mod oauth;
mod tokens;

use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use client::{Answer, request};
use gce_auth_emulator::Emulator;
use serde_json::{Value, json};

const EMAIL: &str = "emulator@emulator-project.iam.gserviceaccount.com";
const STORAGE: &str = "https://www.googleapis.com/auth/devstorage.read_only";

fn emulator() -> Emulator {
    Emulator::builder().start().unwrap()
}

/// Verifies a signature with the keys that the emulator serves.
fn verify(emulator: &Emulator, key_id: &str, message: &[u8], signature: &[u8]) {
    let jwks = request(emulator.addr(), "GET", "/oauth2/v3/certs", &[], b"");
    assert_eq!(jwks.status, 200);
    assert!(
        jwks.header("Cache-Control")
            .unwrap()
            .contains("max-age=3600")
    );
    let jwks = jwks.json();
    let key = jwks["keys"]
        .as_array()
        .unwrap()
        .iter()
        .find(|key| key["kid"] == key_id)
        .unwrap();
    let number = |name: &str| {
        BASE64_URL_SAFE_NO_PAD
            .decode(key[name].as_str().unwrap())
            .unwrap()
    };
    RsaPublicKeyComponents {
        n: number("n"),
        e: number("e"),
    }
    .verify(&RSA_PKCS1_2048_8192_SHA256, message, signature)
    .unwrap();
}

/// The claims of a token, after its signature was verified.
fn claims(emulator: &Emulator, token: &str) -> Value {
    let (message, signature) = token.rsplit_once('.').unwrap();
    let (header, claims) = message.split_once('.').unwrap();
    let decode = |part: &str| BASE64_URL_SAFE_NO_PAD.decode(part).unwrap();
    let header: Value = serde_json::from_slice(&decode(header)).unwrap();
    assert_eq!(
        (&header["alg"], &header["typ"]),
        (&json!("RS256"), &json!("JWT"))
    );
    verify(
        emulator,
        header["kid"].as_str().unwrap(),
        message.as_bytes(),
        &decode(signature),
    );
    serde_json::from_slice(&decode(claims)).unwrap()
}

fn iam(emulator: &Emulator, token: &str, method: &str, body: &Value) -> Answer {
    request(
        emulator.addr(),
        "POST",
        &format!("/v1/projects/-/serviceAccounts/{EMAIL}:{method}"),
        &[
            ("Authorization", &format!("Bearer {token}")),
            ("Content-Type", "application/json"),
        ],
        body.to_string().as_bytes(),
    )
}
