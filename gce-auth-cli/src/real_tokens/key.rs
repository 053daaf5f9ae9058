//! Tokens for a service account's key, as RFC 7523 has it.

use std::{fmt, net::IpAddr, time::Duration};

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair},
};
use base64::{
    Engine as _,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use gce_auth::{
    time::{Clock as _, SystemClock},
    transport::{HttpTransport, Limits, Transport as _},
};
use http::{Request, Uri, header::CONTENT_TYPE};
use serde_json::{Value, json};

use super::answer;

const GRANT: &str = "urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer";
/// How long an assertion, and a token that does not say it, holds: seconds.
const HOUR: u64 = 3600;
/// How long the token endpoint may take.
const LIMIT: Duration = Duration::from_secs(10);

/// A service account's private key, and where it is good for tokens.
pub(crate) struct Key {
    email: String,
    project: Option<String>,
    id: Option<String>,
    token_uri: Uri,
    /// As it stands in the file: the audience of assertions.
    audience: String,
    pair: RsaKeyPair,
}

impl Key {
    /// Reads what Google's console gives to download.
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        let json: Value = serde_json::from_str(text).map_err(|_| "it is not JSON")?;
        if json["type"] != "service_account" {
            return Err("its type is not service_account");
        }
        let text = |name: &str| json[name].as_str().map(str::to_owned);
        let audience = text("token_uri").ok_or("it has no token_uri")?;
        let token_uri: Uri = audience.parse().map_err(|_| "its token_uri is no URL")?;
        if !is_safe(&token_uri) {
            return Err("its token_uri is neither https nor on this machine");
        }
        let pem = text("private_key").ok_or("it has no private_key")?;
        let pair = der(&pem).and_then(|der| RsaKeyPair::from_pkcs8(&der).ok());
        Ok(Self {
            email: text("client_email").ok_or("it has no client_email")?,
            project: text("project_id"),
            id: text("private_key_id"),
            token_uri,
            audience,
            pair: pair.ok_or("its private_key is no RSA key in PKCS #8 and PEM")?,
        })
    }

    pub(super) fn email(&self) -> &str {
        &self.email
    }

    pub(super) fn project(&self) -> Option<&str> {
        self.project.as_deref()
    }

    /// A token of the account `email`, which must be the key's.
    pub(super) fn token(
        &self,
        email: &str,
        scopes: &[String],
    ) -> Result<(String, Duration), String> {
        if email != self.email {
            let own = &self.email;
            return Err(format!("the key is one of {own}, not of {email}"));
        }
        let now = SystemClock::new().now().wall.as_secs();
        let assertion = self
            .assertion(scopes, now)
            .ok_or("the assertion could not be signed")?;
        let request = Request::post(&self.token_uri)
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(format!("grant_type={GRANT}&assertion={assertion}").into_bytes())
            .map_err(|_| "the token_uri of the key cannot be asked")?;
        let mut limits = Limits::new();
        (limits.connect, limits.first_byte, limits.attempt) = (LIMIT / 2, LIMIT, LIMIT);
        let whom = &self.audience;
        let response = HttpTransport::new()
            .send(request, &limits)
            .map_err(|error| format!("{whom} gave no token: {error}"))?;
        let status = response.status();
        let text = String::from_utf8(response.into_body()).unwrap_or_default();
        if !status.is_success() {
            let code = status.as_u16();
            return Err(format!("{whom} gave no token: {code}{}", reason(&text)));
        }
        let (token, lifetime) =
            answer::read(&text).map_err(|why| format!("the answer of {whom} {why}"))?;
        Ok((token, lifetime.unwrap_or(Duration::from_secs(HOUR))))
    }

    /// Says who asks, signed: RFC 7523, 3.
    fn assertion(&self, scopes: &[String], now: u64) -> Option<String> {
        let mut header = json!({"alg": "RS256", "typ": "JWT"});
        if let Some(id) = &self.id {
            header["kid"] = id.as_str().into();
        }
        let claims = json!({
            "iss": self.email,
            "scope": scopes.join(" "),
            "aud": self.audience,
            "iat": now,
            "exp": now + HOUR,
        });
        let encode = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
        let message = format!("{}.{}", encode(&header), encode(&claims));
        let mut signature = vec![0; self.pair.public_modulus_len()];
        let random = SystemRandom::new();
        self.pair
            .sign(
                &RSA_PKCS1_SHA256,
                &random,
                message.as_bytes(),
                &mut signature,
            )
            .ok()?;
        Some(format!(
            "{message}.{}",
            BASE64_URL_SAFE_NO_PAD.encode(signature)
        ))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key")
            .field("email", &self.email)
            .field("public_key", self.pair.public_key())
            .finish_non_exhaustive()
    }
}

/// Whether tokens may travel there: encrypted, or within this machine.
fn is_safe(uri: &Uri) -> bool {
    let host = uri.host().unwrap_or_default();
    match uri.scheme_str() {
        Some("https") => !host.is_empty(),
        Some("http") => {
            let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
            host == "localhost" || address.is_ok_and(|address| address.is_loopback())
        }
        _ => false,
    }
}

/// The bytes in a PEM of one private key.
fn der(pem: &str) -> Option<Vec<u8>> {
    let (_, rest) = pem.split_once("-----BEGIN PRIVATE KEY-----")?;
    let (body, _) = rest.split_once("-----END PRIVATE KEY-----")?;
    let body: String = body.split_whitespace().collect();
    BASE64_STANDARD.decode(body).ok()
}

/// Why a token endpoint refused: RFC 6749, 5.2.
fn reason(text: &str) -> String {
    let answer: Value = serde_json::from_str(text).unwrap_or_default();
    ["error", "error_description"]
        .iter()
        .filter_map(|name| answer[name].as_str())
        .map(|text| format!(": {}", text.chars().take(500).collect::<String>()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_are_none_are_refused_and_not_shown() {
        let key = |change: &[(&str, Value)]| {
            let mut key = json!({
                "type": "service_account",
                "client_email": "me@x",
                "token_uri": "https://oauth2.googleapis.com/token",
                "private_key": "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n",
            });
            for (name, value) in change {
                key[*name] = value.clone();
            }
            Key::parse(&key.to_string()).expect_err("no key")
        };
        assert_eq!(Key::parse("secret").expect_err("no key"), "it is not JSON");
        assert!(key(&[]).contains("private_key is no RSA key"));
        assert!(key(&[("private_key", Value::Null)]).contains("no private_key"));
        assert!(key(&[("type", "authorized_user".into())]).contains("type"));
        assert!(key(&[("token_uri", Value::Null)]).contains("no token_uri"));
        for uri in [
            "http://example.com/token",
            "http://127.0.0.1.example.com/token",
            "ftp://127.0.0.1/token",
            "/token",
        ] {
            assert!(
                key(&[("token_uri", uri.into())]).contains("neither https"),
                "{uri}"
            );
        }
    }

    #[test]
    fn a_refusal_is_told_in_the_words_of_the_endpoint() {
        let text = r#"{"error": "invalid_grant", "error_description": "Invalid JWT Signature."}"#;
        assert_eq!(reason(text), ": invalid_grant: Invalid JWT Signature.");
        assert_eq!(reason("<html>"), "");
    }
}
