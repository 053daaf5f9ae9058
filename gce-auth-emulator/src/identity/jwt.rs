//! JSON Web Tokens, signed and read.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey, VerificationAlgorithm,
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use rustls::pki_types::{SubjectPublicKeyInfoDer, pem::PemObject};
use serde_json::{Value, json};

use crate::identity::{accounts::Account, keys::SigningKey};

/// Signs claims as Google signs them: RS256, the key named in the header.
pub(crate) fn sign(key: &SigningKey, claims: &Value) -> Option<String> {
    sign_text(key, &claims.to_string())
}

/// Signs a payload as it stands.
pub(crate) fn sign_text(key: &SigningKey, payload: &str) -> Option<String> {
    let header = json!({"alg": "RS256", "kid": key.id(), "typ": "JWT"});
    let message = format!(
        "{}.{}",
        BASE64_URL_SAFE_NO_PAD.encode(header.to_string()),
        BASE64_URL_SAFE_NO_PAD.encode(payload)
    );
    let signature = BASE64_URL_SAFE_NO_PAD.encode(key.sign(message.as_bytes())?);
    Some(format!("{message}.{signature}"))
}

/// A token, taken apart and not verified.
pub(crate) struct Unverified<'a> {
    pub(crate) header: Value,
    pub(crate) claims: Value,
    pub(crate) message: &'a [u8],
    pub(crate) signature: Vec<u8>,
}

impl<'a> Unverified<'a> {
    pub(crate) fn parse(token: &'a str) -> Option<Self> {
        let (message, signature) = token.rsplit_once('.')?;
        let (header, claims) = message.split_once('.')?;
        let part = |text: &str| {
            serde_json::from_slice::<Value>(&BASE64_URL_SAFE_NO_PAD.decode(text).ok()?).ok()
        };
        Some(Self {
            header: part(header)?,
            claims: part(claims)?,
            message: message.as_bytes(),
            signature: BASE64_URL_SAFE_NO_PAD.decode(signature).ok()?,
        })
    }
}

/// The header and the claims of a token that this key signed.
pub(crate) fn verify(key: &SigningKey, token: &str) -> Option<(Value, Value)> {
    let token = Unverified::parse(token)?;
    if token.header["alg"] != "RS256" {
        return None;
    }
    key.verify(token.message, &token.signature)
        .then_some((token.header, token.claims))
}

/// The claims of an assertion, if its issuer signed it: with a key that was uploaded for it, RS256
/// or ES256.
pub(crate) fn verify_assertion(accounts: &[Account], assertion: &str) -> Option<Value> {
    let token = Unverified::parse(assertion)?;
    let algorithm: &'static dyn VerificationAlgorithm = match token.header["alg"].as_str()? {
        "RS256" => &RSA_PKCS1_2048_8192_SHA256,
        "ES256" => &ECDSA_P256_SHA256_FIXED,
        _ => return None,
    };
    let signed = Account::public_keys(accounts, token.claims["iss"].as_str()?)
        .iter()
        .filter_map(|pem| SubjectPublicKeyInfoDer::from_pem_slice(pem.as_bytes()).ok())
        .any(|key| {
            UnparsedPublicKey::new(algorithm, key.as_ref())
                .verify(token.message, &token.signature)
                .is_ok()
        });
    signed.then_some(token.claims)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_signed_is_read_back_and_nothing_else() {
        let key = &*SigningKey::shared().unwrap();
        let token = sign(key, &json!({"aud": "a"})).unwrap();
        let (header, claims) = verify(key, &token).unwrap();
        assert_eq!(header["kid"], key.id());
        assert_eq!(claims["aud"], "a");
        let forged = token.replacen('.', ".e30", 1);
        assert_eq!(verify(key, &forged), None);
        for nonsense in ["", ".", "..", "a.b.c", "e30.e30."] {
            assert_eq!(verify(key, nonsense), None);
        }
    }
}
