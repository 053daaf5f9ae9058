//! The OAuth 2.0 token endpoint: an assertion in, an ID token out (RFC 7523).

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use http::{HeaderValue, Request, Response, StatusCode, Uri};
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

#[cfg(feature = "adc")]
use crate::values::secret::SecretText;
use crate::{
    values::{
        endpoint::without_user,
        error::{Error, ErrorKind},
        token::{Bearer, Now},
    },
    wire::{api::Refusal, oauth, request::X_GOOG_API_CLIENT, response},
};

/// Where google-auth exchanges assertions for ID tokens unless told otherwise.
pub(crate) const TOKEN_URI: &str = "https://www.googleapis.com/oauth2/v4/token";

const METRICS: HeaderValue = HeaderValue::from_static(concat!(
    "gl-rust/",
    env!("CARGO_PKG_RUST_VERSION"),
    " auth/",
    env!("CARGO_PKG_VERSION"),
    " auth-request-type/it cred-type/sa"
));
/// How long an assertion holds, in seconds.
const LIFETIME: u64 = 3600;

/// Checks that `text` is a URL that a token can be asked at.
pub(crate) fn check_token_uri(text: &str) -> Result<(), Error> {
    let uri: Option<Uri> = text.parse().ok();
    let is_url = uri.as_ref().is_some_and(|uri| {
        let has_user = uri.authority().is_some_and(|it| it.as_str().contains('@'));
        let has_host = uri.host().is_some_and(|host| !host.is_empty());
        matches!(uri.scheme_str(), Some("https" | "http")) && has_host && !has_user
    });
    if is_url {
        return Ok(());
    }
    Err(not_a_token_uri(text).with_hint(
        "write a URL without user name and password, like https://oauth2.googleapis.com/token",
    ))
}

fn not_a_token_uri(text: &str) -> Error {
    let shown = without_user(text);
    Error::new(ErrorKind::Config, format!("{shown:?} is not a token URI"))
}

/// What an assertion says.
#[derive(Debug)]
pub(crate) struct Assertion<'a> {
    pub(crate) issuer: &'a str,
    pub(crate) token_uri: &'a str,
    pub(crate) audience: &'a str,
    pub(crate) additional: &'a Map<String, Value>,
    pub(crate) algorithm: &'a str,
    pub(crate) key_id: Option<&'a str>,
}

impl Assertion<'_> {
    /// Header and claims, encoded: what is to be signed.
    pub(crate) fn to_sign(&self, now: Now) -> String {
        let mut header = json!({"typ": "JWT", "alg": self.algorithm});
        if let Some(key_id) = self.key_id {
            header["kid"] = key_id.into();
        }
        let issued = now.wall.as_secs();
        let mut claims = json!({
            "iss": self.issuer,
            "aud": self.token_uri,
            "target_audience": self.audience,
            "iat": issued,
            "exp": issued + LIFETIME,
        });
        for (name, value) in self.additional {
            claims[name] = value.clone();
        }
        let encode = |part: &Value| BASE64_URL_SAFE_NO_PAD.encode(part.to_string());
        format!("{}.{}", encode(&header), encode(&claims))
    }

    /// The audience of the ID token.
    pub(crate) fn audience(&self) -> &str {
        let said = self.additional.get("target_audience");
        said.and_then(Value::as_str).unwrap_or(self.audience)
    }
}

/// The assertion and its signature, as a request for an ID token. A program that holds
/// its body may have the token.
pub(crate) fn request(
    token_uri: &str,
    to_sign: &str,
    signature: &[u8],
) -> Result<Request<Vec<u8>>, Error> {
    let signature = Zeroizing::new(BASE64_URL_SAFE_NO_PAD.encode(signature));
    // All of it at once, so that no half-grown copy stays behind.
    let assertion = Zeroizing::new([to_sign, ".", &signature].concat());
    request_signed(token_uri, &assertion)
}

/// The same of an assertion that is signed.
pub(crate) fn request_signed(token_uri: &str, assertion: &str) -> Result<Request<Vec<u8>>, Error> {
    let grant = "urn:ietf:params:oauth:grant-type:jwt-bearer";
    let body = oauth::form(&[("assertion", assertion), ("grant_type", grant)]);
    let mut request = oauth::post(token_uri, &body)?;
    request.headers_mut().insert(X_GOOG_API_CLIENT, METRICS);
    Ok(request)
}

/// The ID token for `audience` in an answer, seen at `now`.
pub(crate) fn id_token(
    response: Response<Vec<u8>>,
    audience: &str,
    now: Now,
) -> Result<Bearer, Refusal> {
    let response = response.map(Zeroizing::new);
    if response.status() != StatusCode::OK {
        return Err(oauth::refused(&response, "the token endpoint"));
    }
    let mut body: Value = serde_json::from_slice(response.body()).unwrap_or_default();
    match body.get_mut("id_token").map(Value::take) {
        Some(Value::String(token)) => {
            let token = Zeroizing::new(token);
            Ok(response::id_token(&token, audience, now)?)
        }
        _ => {
            let error = Error::new(ErrorKind::Refused, "the token endpoint gave no id_token");
            Err(Refusal::of(&response, error))
        }
    }
}

/// The ID token of a person in an answer with their access token, seen at `now`,
/// and the refresh token that replaces the one that was sent.
#[cfg(feature = "adc")]
pub(crate) fn id_token_of_user(
    response: Response<Vec<u8>>,
    audience: &str,
    now: Now,
) -> Result<(Result<Bearer, Error>, Option<SecretText>), Refusal> {
    let response = response.map(Zeroizing::new);
    if response.status() != StatusCode::OK {
        return Err(oauth::refused(&response, "the token endpoint"));
    }
    let mut fields = oauth::object(response.body())?;
    let next = oauth::next_refresh_token(&mut fields);
    let token = match fields.remove("id_token") {
        Some(Value::String(token)) => response::id_token(&Zeroizing::new(token), audience, now),
        _ => Err(
            Error::new(ErrorKind::Refused, "the token endpoint gave no id_token")
                .with_hint("log in again with the scope `openid`"),
        ),
    };
    // A new refresh token must not be lost with an unusable ID token.
    if next.is_none() {
        return Ok((Ok(token?), None));
    }
    Ok((token, next))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn now() -> Now {
        Now::new(Duration::from_secs(1000), Duration::from_secs(1))
    }

    fn answer(status: u16, body: &str) -> Response<Vec<u8>> {
        let mut response = Response::new(body.as_bytes().to_vec());
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        response
    }

    #[test]
    fn an_assertion_says_who_asks_for_what() {
        let Value::Object(additional) = json!({"target_audience": "other", "role": "r"}) else {
            unreachable!()
        };
        let assertion = Assertion {
            issuer: "e@x",
            token_uri: "https://t/",
            audience: "a",
            additional: &additional,
            algorithm: "ES256",
            key_id: Some("k"),
        };
        let to_sign = assertion.to_sign(now());
        let parts: Vec<Value> = to_sign
            .split('.')
            .map(|part| BASE64_URL_SAFE_NO_PAD.decode(part).unwrap())
            .map(|bytes| serde_json::from_slice(&bytes).unwrap())
            .collect();
        assert_eq!(parts[0], json!({"typ": "JWT", "alg": "ES256", "kid": "k"}));
        assert_eq!(
            parts[1],
            json!({"iss": "e@x", "aud": "https://t/", "target_audience": "other", "iat": 1000,
                   "exp": 4600, "role": "r"})
        );
        assert_eq!(assertion.audience(), "other");
        let request = request("https://t/", &to_sign, b"s").unwrap();
        let body = String::from_utf8(request.into_body()).unwrap();
        assert!(body.starts_with(&format!("assertion={to_sign}.cw&grant_type=urn%3Aietf%3A")));
    }

    #[test]
    fn refusals_say_why_and_whether_to_ask_again() {
        for (status, body, kind) in [
            (200, "{}", ErrorKind::Refused),
            (200, r#"{"id_token":"x"}"#, ErrorKind::InvalidResponse),
            (400, r#"{"error":"invalid_grant"}"#, ErrorKind::Refused),
            (400, r#"{"error":"server_error"}"#, ErrorKind::Unavailable),
            (408, "", ErrorKind::Unavailable),
            (429, "", ErrorKind::RateLimited),
            (501, "", ErrorKind::Refused),
            (502, "", ErrorKind::Unavailable),
            (503, "", ErrorKind::Unavailable),
        ] {
            let refused = id_token(answer(status, body), "a", now()).unwrap_err();
            assert_eq!(refused.error.kind(), kind, "{status} {body}");
        }
    }

    #[test]
    fn a_refusal_repeats_no_token() {
        for token in ["ya29.c.q9Zt3KxW7vB1", "eyJhbGciOiJSUzI1NiJ9.e30.c2ln"] {
            let body = json!({"error": "invalid_grant", "error_description": token});
            let refused = id_token(answer(400, &body.to_string()), "a", now()).unwrap_err();
            let said = refused.error.to_string();
            assert!(
                said.contains("invalid_grant") && !said.contains(token),
                "{said}"
            );
        }
    }

    #[test]
    fn a_token_uri_is_a_url() {
        assert!(check_token_uri(TOKEN_URI).is_ok());
        for text in ["", "token", "ftp://x/", "https://"] {
            assert!(check_token_uri(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_token_uri_with_a_password_is_refused_and_not_shown() {
        for text in [
            "https://user:secret@t.example/token",
            "https://user:secret@t.example/bad token",
            "user:secret@t.example",
        ] {
            let error = check_token_uri(text).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            let shown = format!("{error} {error:?}");
            assert!(!shown.contains("secret"), "{shown}");
        }
        let request = Request::get("http://user:secret@t.example/x").body(Vec::new());
        let location = crate::wire::request::location(&request.unwrap());
        assert_eq!(location, "GET http://t.example/x");
    }
}
