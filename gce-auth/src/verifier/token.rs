//! A token, taken apart strictly (RFC 7515, RFC 7519, RFC 8725).

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::{Map, Value};

use crate::{
    values::error::{Error, ErrorKind},
    wire::jwks::Algorithm,
};

/// Twice as long as the headers that web servers take.
const LONGEST: usize = 16 * 1024;

/// What Cloud Run puts in place of the signature of a token that it has checked.
const REMOVED: &str = "SIGNATURE_REMOVED_BY_GOOGLE";

/// What a token says before anything of it is believed.
#[derive(Debug)]
pub(super) struct Token<'a> {
    pub(super) algorithm: Algorithm,
    pub(super) key_id: String,
    /// Header and payload, as they were signed.
    pub(super) message: &'a [u8],
    pub(super) signature: Vec<u8>,
    pub(super) claims: Map<String, Value>,
}

impl<'a> Token<'a> {
    /// Takes a token apart; errors quote nothing but the algorithm.
    pub(super) fn read(token: &'a str) -> Result<Self, Error> {
        if token.len() > LONGEST {
            return Err(malformed("it is longer than 16 KiB"));
        }
        let mut parts = token.split('.');
        let (Some(header), Some(payload), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(malformed("it has not three parts"));
        };
        if signature == REMOVED {
            return Err(rejected(
                "Google removed the signature of this token (SIGNATURE_REMOVED_BY_GOOGLE): Cloud \
                 Run has verified it, and it proves nothing to anyone else"
                    .to_owned(),
            )
            .with_hint(
                "behind Cloud Run with IAM, rely on its check; to verify tokens yourself, have \
                 callers send them in another header than Authorization",
            ));
        }
        let message = &token[..header.len() + 1 + payload.len()];
        let header = object(header)
            .ok_or_else(|| malformed("its header is not a JSON object in base64url"))?;
        let claims = object(payload)
            .ok_or_else(|| malformed("its payload is not a JSON object in base64url"))?;
        let signature = BASE64_URL_SAFE_NO_PAD
            .decode(signature)
            .ok()
            .filter(|signature| !signature.is_empty())
            .ok_or_else(|| malformed("its signature is not base64url"))?;
        Ok(Self {
            algorithm: algorithm(&header)?,
            key_id: key_id(&header)?,
            message: message.as_bytes(),
            signature,
            claims,
        })
    }
}

fn algorithm(header: &Map<String, Value>) -> Result<Algorithm, Error> {
    // RFC 7515, 4.1.11: who does not understand `crit` refuses the token.
    if header.contains_key("crit") {
        return Err(malformed("its header has critical parameters"));
    }
    match header.get("typ") {
        None => {}
        Some(Value::String(kind))
            if kind.eq_ignore_ascii_case("JWT") || kind.eq_ignore_ascii_case("application/jwt") => {
        }
        Some(_) => return Err(malformed("its header says that it is no JWT")),
    }
    let Some(Value::String(name)) = header.get("alg") else {
        return Err(malformed("its header names no algorithm"));
    };
    Algorithm::named(name).ok_or_else(|| {
        rejected(format!(
            "the token is signed with {}, and only RS256 and ES256 are accepted",
            shown(name)
        ))
    })
}

fn key_id(header: &Map<String, Value>) -> Result<String, Error> {
    match header.get("kid") {
        Some(Value::String(id)) if !id.is_empty() => Ok(id.clone()),
        _ => Err(malformed("its header names no key")),
    }
}

fn object(part: &str) -> Option<Map<String, Value>> {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(part).ok()?;
    match serde_json::from_slice(&bytes).ok()? {
        Value::Object(map) => Some(map),
        _ => None,
    }
}

fn malformed(why: &str) -> Error {
    rejected(format!("this is not an ID token: {why}"))
}

/// The error of a token that is not to be trusted.
pub(super) fn rejected(what: String) -> Error {
    Error::new(ErrorKind::Rejected, what)
}

/// Text of a token or a caller, for an error: quoted, escaped and shortened.
pub(super) fn shown(text: &str) -> String {
    const LONGEST: usize = 120;
    let mut chars = text.chars();
    let begin: String = chars.by_ref().take(LONGEST).collect();
    let more = if chars.next().is_some() { "…" } else { "" };
    format!("{begin:?}{more}")
}
