//! Signatures, made and verified.

use std::time::{Duration, SystemTime};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use gce_auth::{Credentials, Error, IdTokenVerifier, RetryPolicy, Signature, Signer};
use serde_json::{Value, json};

use crate::{clock, cmd::demo::page::Found, exit::Failure};

/// A service that receives ID tokens.
pub(crate) const AUDIENCE: &str = "https://service.example";
/// The server of Google's public keys.
const GOOGLE: &str = "https://www.googleapis.com";
/// The allowed clock skew: clocks of two machines differ.
const LEEWAY: Duration = Duration::from_secs(10);

/// The services beside the metadata server: the emulator's own, or Google's.
#[derive(Debug)]
pub(crate) struct Services<'a> {
    pub(crate) emulator: Option<&'a str>,
}

impl Services<'_> {
    fn keys(&self) -> &str {
        self.emulator.unwrap_or(GOOGLE)
    }

    /// Verifies an ID token, as the service that receives it does.
    pub(crate) fn verify(&self, token: &str) -> Result<(Found, ()), Failure> {
        let url = format!("{}/oauth2/v3/certs", self.keys());
        let claims = IdTokenVerifier::builder()
            .audience(AUDIENCE)
            .jwks_url(&url)
            .leeway(LEEWAY)
            .build()?
            .blocking_verify(token)?;
        let who = claims.email().unwrap_or_else(|| claims.subject());
        let found = Found::new(format!("verified: this is {who}"))
            .and("  key", key_of(token))
            .and("  published at", url);
        Ok((found, ()))
    }

    /// Has IAM sign bytes, and verifies the signature with the account's keys.
    pub(crate) fn sign(&self, credentials: &Credentials) -> Result<(Found, ()), Failure> {
        let mut builder = Signer::builder()
            .credentials(credentials.clone())
            .retry(RetryPolicy::new());
        if let Some(url) = self.emulator {
            builder = builder.iam_endpoint(url);
        }
        let signer = builder.build()?;
        let email = signer.blocking_fetch_service_account_email()?;
        // The blob is the signed part of a JWT, so that any verifier can check the signature. It
        // names the key, which the first signature tells.
        let mut signature = signer.blocking_sign_bytes(AUDIENCE.as_bytes())?;
        let (blob, key) = loop {
            let key = signature.key_id().to_owned();
            let blob = to_be_signed(&email, &key);
            signature = signer.blocking_sign_bytes(blob.as_bytes())?;
            if signature.key_id() == key {
                break (blob, key);
            }
        };
        let url = format!("{}/service_accounts/v1/jwk/{email}", self.keys());
        check(&blob, &signature, &email, &url)?;
        let signed = format!("{} bytes, signed by IAM; verified", blob.len());
        let found = Found::new(signed)
            .and("  signature", shown(&signature))
            .and("  key", key)
            .and("  published at", url);
        Ok((found, ()))
    }
}

fn to_be_signed(email: &str, key: &str) -> String {
    let now = clock::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs();
    let header = json!({"alg": "RS256", "typ": "JWT", "kid": key});
    let claims = json!({
        "iss": email, "sub": email, "aud": AUDIENCE, "iat": now, "exp": now + 600,
    });
    format!("{}.{}", encoded(&header), encoded(&claims))
}

fn encoded(value: &Value) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(value.to_string())
}

fn check(blob: &str, signature: &Signature, email: &str, url: &str) -> Result<(), Error> {
    let token = format!(
        "{blob}.{}",
        BASE64_URL_SAFE_NO_PAD.encode(signature.bytes())
    );
    IdTokenVerifier::builder()
        .audience(AUDIENCE)
        .issuer(email)
        .jwks_url(url)
        .leeway(LEEWAY)
        .build()?
        .blocking_verify(&token)
        .map(drop)
}

fn shown(signature: &Signature) -> String {
    let bytes = signature.bytes();
    let begin: String = bytes
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("{begin}… ({} bytes)", bytes.len())
}

/// Returns the key id in the header of a token.
fn key_of(token: &str) -> String {
    let header = token.split('.').next().unwrap_or_default();
    BASE64_URL_SAFE_NO_PAD
        .decode(header)
        .ok()
        .and_then(|header| serde_json::from_slice::<Value>(&header).ok())
        .and_then(|header| header["kid"].as_str().map(str::to_owned))
        .unwrap_or_default()
}
