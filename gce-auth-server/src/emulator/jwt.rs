//! JSON Web Tokens, signed and read.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::keys::SigningKey;

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

/// The header and the claims of a token that this key signed.
pub(crate) fn verify(key: &SigningKey, token: &str) -> Option<(Value, Value)> {
    let (message, signature) = token.rsplit_once('.')?;
    let (header, claims) = message.split_once('.')?;
    let part = |text: &str| {
        serde_json::from_slice::<Value>(&BASE64_URL_SAFE_NO_PAD.decode(text).ok()?).ok()
    };
    let (header, claims) = (part(header)?, part(claims)?);
    if header["alg"] != "RS256" {
        return None;
    }
    let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).ok()?;
    key.verify(message.as_bytes(), &signature)
        .then_some((header, claims))
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
