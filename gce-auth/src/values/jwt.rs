//! JSON Web Tokens, read but not verified (RFC 7519).

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Map, Value};

/// No token that a Google service makes is near this many bytes.
const LONGEST: usize = 64 * 1024;

/// The claims of a token whose signature was not verified.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct UnverifiedClaims(Map<String, Value>);

impl UnverifiedClaims {
    /// Reads the payload of `token`; the error says what is wrong, without
    /// quoting it.
    pub(crate) fn read(token: &str) -> Result<Self, &'static str> {
        if token.len() > LONGEST {
            return Err("it is longer than 64 KiB");
        }
        let mut parts = token.split('.');
        let (Some(header), Some(payload), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err("it has not three parts");
        };
        if signature.is_empty() || URL_SAFE_NO_PAD.decode(signature).is_err() {
            return Err("its signature is not base64url");
        }
        object(header).ok_or("its header is not a JSON object in base64url")?;
        object(payload)
            .map(Self)
            .ok_or("its payload is not a JSON object in base64url")
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// `exp`: seconds since the Unix epoch (RFC 7519, 4.1.4).
    pub(crate) fn expiry(&self) -> Option<f64> {
        self.0.get("exp")?.as_f64().filter(|exp| exp.is_finite())
    }

    /// How long the token lives in all: `exp` less `iat`.
    pub(crate) fn lifetime(&self) -> Option<Duration> {
        let issued = self.0.get("iat")?.as_f64()?;
        Duration::try_from_secs_f64(self.expiry()? - issued).ok()
    }

    /// Whether `aud` is `audience`, or a list that holds it.
    pub(crate) fn is_for(&self, audience: &str) -> bool {
        match self.0.get("aud") {
            Some(Value::String(aud)) => aud == audience,
            Some(Value::Array(list)) => list.iter().any(|aud| aud.as_str() == Some(audience)),
            _ => false,
        }
    }

    pub(crate) fn into_map(self) -> Map<String, Value> {
        self.0
    }
}

fn object(part: &str) -> Option<Map<String, Value>> {
    let bytes = URL_SAFE_NO_PAD.decode(part).ok()?;
    match serde_json::from_slice(&bytes).ok()? {
        Value::Object(map) => Some(map),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(header: &str, payload: &str) -> String {
        format!(
            "{}.{}.{}",
            URL_SAFE_NO_PAD.encode(header),
            URL_SAFE_NO_PAD.encode(payload),
            URL_SAFE_NO_PAD.encode("signature")
        )
    }

    #[test]
    fn claims_are_read() {
        let claims =
            UnverifiedClaims::read(&token("{}", r#"{"aud":"a","exp":12,"sub":"1"}"#)).unwrap();
        assert!(claims.is_for("a") && !claims.is_for("b"));
        assert_eq!(claims.expiry(), Some(12.0));
        assert!(claims.has("exp") && !claims.has("iat"));
        assert_eq!(claims.into_map()["sub"], "1");
        let listed = UnverifiedClaims::read(&token("{}", r#"{"aud":["x","a"]}"#)).unwrap();
        assert!(listed.is_for("a") && !listed.is_for("y"));
    }

    #[test]
    fn a_token_may_have_64_kib_and_no_more() {
        let head = format!("{}.", URL_SAFE_NO_PAD.encode("{}"));
        let of = |length: usize| {
            let payload = r#"{"a":""#.to_owned() + &"x".repeat(length) + r#""}"#;
            let payload = URL_SAFE_NO_PAD.encode(payload);
            let left = LONGEST - head.len() - payload.len() - 1;
            // Some of these lengths are none of base64, and refused for that.
            head.clone() + &payload + "." + &"A".repeat(left)
        };
        let longest = (30_000..30_006)
            .map(of)
            .find(|token| UnverifiedClaims::read(token).is_ok());
        let longest = longest.unwrap();
        assert_eq!(longest.len(), LONGEST);
        let error = UnverifiedClaims::read(&(longest + "AAAA")).unwrap_err();
        assert!(error.contains("64 KiB"), "{error}");
    }

    #[test]
    fn what_is_not_a_token_is_refused() {
        let good = token("{}", "{}");
        assert!(UnverifiedClaims::read(&good).is_ok());
        for bad in [
            String::new(),
            "a.b".to_owned(),
            format!("{good}.more"),
            token("[]", "{}"),
            token("{}", "[1]"),
            token("{}", "{"),
            "e30.e30.".to_owned(),
            "e30.%%%.c2ln".to_owned(),
            "e30.e30=.c2ln".to_owned(),
            format!("{good}{}", "a".repeat(LONGEST)),
        ] {
            assert!(UnverifiedClaims::read(&bad).is_err(), "{bad:.60}");
        }
    }
}
