//! JSON Web Tokens that a key of the program's signs: assertions for the token
//! endpoint (RFC 7523) and access tokens in their own right (AIP-4111).

use std::time::Duration;

#[cfg(feature = "adc")]
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::{Map, Value};
#[cfg(feature = "adc")]
use zeroize::Zeroizing;

use crate::values::token::Now;

/// How long an assertion, or a token that is signed here, holds.
pub(crate) const LIFETIME: Duration = Duration::from_secs(3600);

/// Header and claims, encoded: what is to be signed with RS256.
#[cfg(feature = "adc")]
pub(crate) fn to_sign(key_id: Option<&str>, claims: &Map<String, Value>) -> String {
    let mut header = serde_json::json!({"typ": "JWT", "alg": "RS256"});
    if let Some(key_id) = key_id {
        header["kid"] = key_id.into();
    }
    let claims = Zeroizing::new(serde_json::to_vec(claims).unwrap_or_default());
    let header = BASE64_URL_SAFE_NO_PAD.encode(header.to_string());
    format!("{header}.{}", BASE64_URL_SAFE_NO_PAD.encode(&*claims))
}

/// The signed token.
#[cfg(feature = "adc")]
pub(crate) fn signed(to_sign: &str, signature: &[u8]) -> Zeroizing<String> {
    let signature = Zeroizing::new(BASE64_URL_SAFE_NO_PAD.encode(signature));
    Zeroizing::new([to_sign, ".", &signature].concat())
}

/// The claims that a token is asked for with. `additional` come last, and
/// replace.
pub(crate) fn grant(
    issuer: &str,
    audience: &str,
    what: (&str, &str),
    subject: Option<&str>,
    additional: &Map<String, Value>,
    now: Now,
) -> Map<String, Value> {
    let mut claims = times(now, LIFETIME);
    claims.insert("iss".to_owned(), issuer.into());
    claims.insert("aud".to_owned(), audience.into());
    claims.insert(what.0.to_owned(), what.1.into());
    claims.extend(additional.clone());
    if let Some(subject) = subject {
        claims.entry("sub").or_insert_with(|| Value::from(subject));
    }
    claims
}

/// The claims of a token that is sent to a service itself: for an audience
/// (`aud`), or with scopes (`scope`). `additional` come last, and replace.
#[cfg(feature = "adc")]
pub(crate) fn self_signed(
    email: &str,
    what: (&str, &str),
    lifetime: Duration,
    additional: &Map<String, Value>,
    now: Now,
) -> Map<String, Value> {
    let mut claims = times(now, lifetime);
    claims.insert("iss".to_owned(), email.into());
    claims.insert("sub".to_owned(), email.into());
    claims.insert(what.0.to_owned(), what.1.into());
    claims.extend(additional.clone());
    claims
}

fn times(now: Now, lifetime: Duration) -> Map<String, Value> {
    let issued = now.wall.as_secs();
    let mut claims = Map::new();
    claims.insert("iat".to_owned(), issued.into());
    claims.insert("exp".to_owned(), (issued + lifetime.as_secs()).into());
    claims
}

#[cfg(all(test, feature = "adc"))]
mod tests {
    use serde_json::json;

    use super::*;

    fn now() -> Now {
        Now::new(Duration::from_millis(1_000_900), Duration::from_secs(1))
    }

    #[test]
    fn an_assertion_holds_what_was_added_and_for_whom() {
        let Value::Object(additional) = json!({"aud": "other", "n": 1}) else {
            unreachable!()
        };
        let claims = grant(
            "e@x",
            "https://t",
            ("scope", "a b"),
            Some("u@x"),
            &additional,
            now(),
        );
        assert_eq!(
            Value::Object(claims),
            json!({"iss": "e@x", "aud": "other", "scope": "a b", "iat": 1000, "exp": 4600,
                   "n": 1, "sub": "u@x"})
        );
    }

    #[test]
    fn a_token_of_its_own_names_its_account_twice() {
        let claims = self_signed("e@x", ("scope", "s"), LIFETIME, &Map::new(), now());
        assert_eq!(
            Value::Object(claims),
            json!({"iss": "e@x", "sub": "e@x", "scope": "s", "iat": 1000, "exp": 4600})
        );
        let additional = Map::from_iter([("sub".to_owned(), "u@x".into())]);
        let lifetime = Duration::from_secs(60);
        let claims = self_signed("e@x", ("aud", "a"), lifetime, &additional, now());
        assert_eq!(
            Value::Object(claims),
            json!({"iss": "e@x", "sub": "u@x", "aud": "a", "iat": 1000, "exp": 1060})
        );
    }

    #[test]
    fn an_empty_key_id_is_one() {
        let to_sign = to_sign(Some(""), &Map::new());
        let (header, claims) = to_sign.split_once('.').unwrap();
        let read = |part| BASE64_URL_SAFE_NO_PAD.decode(part).unwrap();
        let header: Value = serde_json::from_slice(&read(header)).unwrap();
        assert_eq!(header, json!({"typ": "JWT", "alg": "RS256", "kid": ""}));
        assert_eq!(read(claims), b"{}");
        assert!(signed(&to_sign, b"s").ends_with(".cw"));
    }
}
