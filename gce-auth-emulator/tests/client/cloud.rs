//! Requests to the Google APIs beside the metadata server.

use std::fmt::Write;

use base64::{
    Engine,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use gce_auth_emulator::Emulator;
use serde_json::{Value, json};

use super::{Answer, get, request, token};

pub(crate) const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
pub(crate) const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
pub(crate) const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";
pub(crate) const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";

/// Encodes everything but letters and digits.
pub(crate) fn encode(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        if byte.is_ascii_alphanumeric() {
            encoded.push(byte.into());
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
        encoded
    })
}

/// A form, with more headers if any.
pub(crate) fn post(
    emulator: &Emulator,
    path: &str,
    fields: &[(&str, &str)],
    headers: &[(&str, &str)],
) -> Answer {
    let body: Vec<String> = fields
        .iter()
        .map(|(name, value)| format!("{name}={}", encode(value)))
        .collect();
    let mut all = vec![("Content-Type", "application/x-www-form-urlencoded")];
    all.extend_from_slice(headers);
    request(
        emulator.addr(),
        "POST",
        path,
        &all,
        body.join("&").as_bytes(),
    )
}

/// A method of the IAM Credentials API.
pub(crate) fn iam(emulator: &Emulator, token: &str, call: &str, body: &Value) -> Answer {
    request(
        emulator.addr(),
        "POST",
        &format!("/v1/projects/-/serviceAccounts/{call}"),
        &[
            ("Authorization", &format!("Bearer {token}")),
            ("Content-Type", "application/json"),
        ],
        body.to_string().as_bytes(),
    )
}

pub(crate) fn token_info(emulator: &Emulator, token: &str, more: &[(&str, &str)]) -> Answer {
    let mut target = format!("/tokeninfo?access_token={token}");
    for (name, value) in more {
        let _ = write!(target, "&{name}={}", encode(value));
    }
    request(emulator.addr(), "GET", &target, &[], b"")
}

/// The emulator's time, in seconds since 1970.
pub(crate) fn now(emulator: &Emulator) -> i64 {
    let path = "instance/service-accounts/default/identity?audience=a";
    claims(get(emulator.addr(), path).text())["iat"]
        .as_i64()
        .unwrap()
}

/// The claims of a token, unverified.
pub(crate) fn claims(token: &str) -> Value {
    let part = token.split('.').nth(1).unwrap();
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(part).unwrap();
    serde_json::from_slice(&bytes).unwrap()
}

/// A token with these claims and times of now, signed by its issuer if that is an account here,
/// else by another account.
pub(crate) fn sign(emulator: &Emulator, claims: &Value) -> String {
    let mut all = json!({"iat": now(emulator), "exp": now(emulator) + 600});
    for (name, value) in claims.as_object().unwrap() {
        all[name] = value.clone();
    }
    let part = |part: &Value| BASE64_URL_SAFE_NO_PAD.encode(part.to_string());
    let message = format!("{}.{}", part(&json!({"alg": "RS256"})), part(&all));
    let access = token(emulator.addr(), "default");
    // Where only the machine's accounts are known.
    let own = get(emulator.addr(), "instance/service-accounts/default/email");
    let issuer = all["iss"].as_str().filter(|issuer| issuer.contains('@'));
    let accounts = [
        issuer,
        Some("a@p.iam.gserviceaccount.com"),
        Some(own.text()),
    ];
    let signature = accounts.into_iter().flatten().find_map(|account| {
        let payload = json!({"payload": BASE64_STANDARD.encode(&message)});
        let signed = iam(emulator, &access, &format!("{account}:signBlob"), &payload).json();
        BASE64_STANDARD.decode(signed["signedBlob"].as_str()?).ok()
    });
    format!(
        "{message}.{}",
        BASE64_URL_SAFE_NO_PAD.encode(signature.unwrap())
    )
}

/// `error` and `error_description`.
pub(crate) fn error(answer: &Answer) -> (String, String) {
    let body = answer.json();
    let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
    (text("error"), text("error_description"))
}
