//! The OAuth 2.0 token endpoint: access tokens for refresh tokens (RFC 6749,
//! 6) and for signed assertions (RFC 7523), and how it refuses.

use http::{HeaderValue, Request, Response, StatusCode, header::CONTENT_TYPE};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::{
    values::{
        error::{Error, ErrorKind},
        token::{Bearer, Now},
    },
    wire::{
        api::Refusal,
        boundary::says_transient,
        request::X_GOOG_API_CLIENT,
        response::{self, may_hold_token, unusable},
    },
};

/// Google's token endpoint.
pub(crate) const TOKEN_ENDPOINT: &str = "https://oauth2.googleapis.com/token";

const FORM: HeaderValue = HeaderValue::from_static("application/x-www-form-urlencoded");

/// Bytes that stay as they are in a form (WHATWG URL, but for `*`).
const FORM_SET: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// The sender of requests, before what they are for (AIP-4110, metrics).
macro_rules! metrics {
    ($rest:literal) => {
        http::HeaderValue::from_static(concat!(
            "gl-rust/",
            env!("CARGO_PKG_RUST_VERSION"),
            " auth/",
            env!("CARGO_PKG_VERSION"),
            $rest
        ))
    };
}
#[cfg(feature = "adc")]
pub(crate) use metrics;

/// A form, in a buffer of its final size: no half-grown copy of a secret stays
/// behind.
pub(crate) fn form(pairs: &[(&str, &str)]) -> Zeroizing<Vec<u8>> {
    let encode = |text| utf8_percent_encode(text, FORM_SET);
    let length = |text: &str| 3 * text.len() + 1;
    let longest = pairs
        .iter()
        .map(|(name, value)| length(name) + length(value));
    let mut body = Zeroizing::new(Vec::with_capacity(longest.sum()));
    for (place, (name, value)) in pairs.iter().enumerate() {
        if place > 0 {
            body.push(b'&');
        }
        for part in encode(name) {
            body.extend_from_slice(part.as_bytes());
        }
        body.push(b'=');
        for part in encode(value) {
            body.extend_from_slice(part.as_bytes());
        }
    }
    body
}

/// A form sent to `url`.
pub(crate) fn post(url: &str, body: &[u8]) -> Result<Request<Vec<u8>>, Error> {
    Request::post(url)
        .header(CONTENT_TYPE, FORM)
        .body(body.to_vec())
        .map_err(|_| Error::new(ErrorKind::Config, format!("{url:?} is not a URL")))
}

/// Asks for an access token of a user. `refresh_token` is the newest one.
#[cfg(feature = "adc")]
pub(crate) fn refresh(
    url: &str,
    user: &crate::wire::credentials_file::authorized_user::AuthorizedUser,
    refresh_token: &crate::values::secret::SecretText,
    scopes: &[String],
) -> Result<Request<Vec<u8>>, Error> {
    let scope = scopes.join(" ");
    let mut pairs = vec![
        ("grant_type", "refresh_token"),
        ("client_id", &user.client_id),
        ("client_secret", user.client_secret.reveal()),
        ("refresh_token", refresh_token.reveal()),
    ];
    if !scope.is_empty() {
        pairs.push(("scope", &scope));
    }
    if let Some(proof) = &user.rapt_token {
        pairs.push(("rapt", proof.reveal()));
    }
    let mut request = post(url, &form(&pairs))?;
    let headers = request.headers_mut();
    headers.insert(X_GOOG_API_CLIENT, metrics!(" cred-type/u"));
    Ok(request)
}

/// Asks for an access token with a signed assertion.
pub(crate) fn assertion(url: &str, assertion: &str) -> Result<Request<Vec<u8>>, Error> {
    let grant = "urn:ietf:params:oauth:grant-type:jwt-bearer";
    let mut request = post(
        url,
        &form(&[("assertion", assertion), ("grant_type", grant)]),
    )?;
    let headers = request.headers_mut();
    headers.insert(
        X_GOOG_API_CLIENT,
        metrics!(" auth-request-type/at cred-type/sa"),
    );
    Ok(request)
}

/// An access token, and what came with it.
#[derive(Debug)]
pub(crate) struct Granted {
    /// The token may be unusable beside a new refresh token, which must not be lost with it.
    pub(crate) token: Result<Bearer, Error>,
    /// A refresh token in place of the one that was sent.
    #[cfg(feature = "adc")]
    pub(crate) refresh_token: Option<crate::values::secret::SecretText>,
    /// The scopes of the token, with blanks between.
    #[cfg(feature = "adc")]
    pub(crate) scope: Option<String>,
}

/// Reads an answer to a request that was sent at `sent`.
pub(crate) fn granted(response: Response<Vec<u8>>, sent: Now) -> Result<Granted, Refusal> {
    let response = response.map(Zeroizing::new);
    if response.status() != StatusCode::OK {
        return Err(refused(&response, "the token endpoint"));
    }
    let mut fields = object(response.body())?;
    #[cfg(feature = "adc")]
    let refresh_token = next_refresh_token(&mut fields);
    let token = response::access_token(&mut fields, sent);
    #[cfg(feature = "adc")]
    let is_spent = refresh_token.is_some();
    #[cfg(not(feature = "adc"))]
    let is_spent = false;
    let token = if is_spent { token } else { Ok(token?) };
    Ok(Granted {
        token,
        #[cfg(feature = "adc")]
        refresh_token,
        #[cfg(feature = "adc")]
        scope: fields
            .get("scope")
            .and_then(Value::as_str)
            .map(str::to_owned),
    })
}

/// The refresh token that replaces the one that was sent.
#[cfg(feature = "adc")]
pub(crate) fn next_refresh_token(
    fields: &mut Map<String, Value>,
) -> Option<crate::values::secret::SecretText> {
    match fields.remove("refresh_token") {
        Some(Value::String(text)) if !text.is_empty() => Some(
            crate::values::secret::SecretText::new(&Zeroizing::new(text)),
        ),
        _ => None,
    }
}

/// The JSON object of an answer.
pub(crate) fn object(body: &[u8]) -> Result<Map<String, Value>, Error> {
    match serde_json::from_slice(body) {
        Ok(Value::Object(fields)) => Ok(fields),
        _ => Err(unusable("the answer is not a JSON object")),
    }
}

/// What a failed answer of `server` means that says in OAuth's words that it
/// will pass, whatever its status; `None` for every other answer.
#[cfg(feature = "adc")]
pub(crate) fn passing(response: &Response<Vec<u8>>, server: &str) -> Option<Refusal> {
    let body: Value = serde_json::from_slice(response.body()).unwrap_or_default();
    let passes = response.status() != StatusCode::OK && says_transient(&body);
    passes.then(|| refused(response, server))
}

/// What a failed answer of `server` means: its status, and `error`,
/// `error_description` and `error_uri` (RFC 6749, 5.2).
pub(crate) fn refused(response: &Response<impl AsRef<[u8]>>, server: &str) -> Refusal {
    let body: Value = serde_json::from_slice(response.body().as_ref()).unwrap_or_default();
    let code = response.status().as_u16();
    let kind = match code {
        429 => ErrorKind::RateLimited,
        501 => ErrorKind::Refused,
        408 | 500.. => ErrorKind::Unavailable,
        _ if says_transient(&body) => ErrorKind::Unavailable,
        400..=499 => ErrorKind::Refused,
        _ => ErrorKind::InvalidResponse,
    };
    let mut what = format!("{server} gave no token");
    for name in ["error", "error_description", "error_uri"] {
        if let Some(said) = plain(&body, name) {
            what.push_str(": ");
            what.push_str(said);
        }
    }
    let mut error = Error::new(kind, what);
    if let Some(hint) = hint(kind, &body) {
        error = error.with_hint(hint);
    }
    Refusal::of(response, error)
}

fn plain<'a>(body: &'a Value, name: &str) -> Option<&'a str> {
    let text = body.get(name)?.as_str()?;
    let short = text.len() <= 400 && !text.contains(|c: char| c.is_control());
    (short && !text.is_empty() && !may_hold_token(text)).then_some(text)
}

fn hint(kind: ErrorKind, body: &Value) -> Option<&'static str> {
    if kind != ErrorKind::Refused {
        return None;
    }
    let said = body.get("error").and_then(Value::as_str);
    let subtype = body.get("error_subtype").and_then(Value::as_str);
    match (said, subtype) {
        (_, Some("invalid_rapt" | "rapt_required")) => Some(
            "the organization wants a fresh login: run `gcloud auth application-default login`",
        ),
        (Some("invalid_grant"), _) => Some(
            "the refresh token or the key was revoked or has expired, or the clock of this machine \
             is wrong: run `gcloud auth application-default login` again, or create another key",
        ),
        (Some("invalid_client"), _) => {
            Some("the client of the credentials file was deleted: create the file again")
        }
        (Some("unauthorized_client"), _) => Some(
            "allow the service account domain-wide delegation for these scopes, or leave the \
             subject out",
        ),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    #[cfg(feature = "adc")]
    use crate::values::secret::SecretText;

    fn answer(status: u16, body: &str) -> Response<Vec<u8>> {
        let mut response = Response::new(body.as_bytes().to_vec());
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        response
    }

    fn now() -> Now {
        Now::new(Duration::from_secs(1000), Duration::from_secs(1))
    }

    #[cfg(feature = "adc")]
    #[test]
    fn an_answer_of_another_server_may_say_that_it_will_pass() {
        let passes = |status, body| passing(&answer(status, body), "the IAM API");
        let error = passes(400, r#"{"error":"server_error"}"#).unwrap().error;
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        for (status, body) in [
            (200, r#"{"error":"server_error"}"#),
            (400, r#"{"error":"invalid_grant"}"#),
            (400, r#"{"error":{"status":"INTERNAL"}}"#),
            (503, ""),
        ] {
            assert!(passes(status, body).is_none(), "{status} {body}");
        }
    }

    #[test]
    fn a_form_is_encoded_at_once() {
        let body = form(&[("a b", "1&2"), ("c", "é~-_.")]);
        assert_eq!(&body[..], b"a%20b=1%262&c=%C3%A9~-_.");
        assert!(body.capacity() >= body.len());
    }

    #[cfg(feature = "adc")]
    #[test]
    fn a_user_is_asked_for_with_everything_the_file_says() {
        let user = crate::wire::credentials_file::authorized_user::AuthorizedUser {
            client_id: "c".to_owned(),
            client_secret: SecretText::new("s"),
            refresh_token: SecretText::new("old"),
            token_uri: None,
            scopes: None,
            rapt_token: Some(SecretText::new("r")),
            saved: None,
            account: None,
            quota_project_id: None,
            universe_domain: None,
        };
        let newest = SecretText::new("1//new");
        let request = refresh(TOKEN_ENDPOINT, &user, &newest, &["a".into(), "b".into()]).unwrap();
        let body = String::from_utf8(request.body().clone()).unwrap();
        assert_eq!(
            body,
            "grant_type=refresh_token&client_id=c&client_secret=s&refresh_token=1%2F%2Fnew\
             &scope=a%20b&rapt=r"
        );
        let metrics = request.headers()["x-goog-api-client"].to_str().unwrap();
        assert!(metrics.starts_with("gl-rust/") && metrics.ends_with(" cred-type/u"));
    }

    #[cfg(feature = "adc")]
    #[test]
    fn a_grant_is_read_with_what_came_with_it() {
        let body = r#"{"access_token":"t","expires_in":60,"refresh_token":"r2","scope":"a b"}"#;
        let granted = granted(answer(200, body), now()).unwrap();
        assert_eq!(granted.token.unwrap().value().token(), "t");
        assert_eq!(granted.refresh_token.unwrap().reveal(), "r2");
    }

    #[cfg(feature = "adc")]
    #[test]
    fn a_new_refresh_token_survives_an_access_token_that_is_of_no_use() {
        let body = r#"{"access_token":"t","expires_in":0,"refresh_token":"r2"}"#;
        let granted = granted(answer(200, body), now()).unwrap();
        assert_eq!(granted.token.unwrap_err().kind(), ErrorKind::Expired);
        assert_eq!(granted.refresh_token.unwrap().reveal(), "r2");
    }

    #[test]
    fn refusals_say_why_and_whether_to_ask_again() {
        for (status, body, kind) in [
            (200, "[]", ErrorKind::InvalidResponse),
            (200, "{}", ErrorKind::InvalidResponse),
            (400, r#"{"error":"invalid_grant"}"#, ErrorKind::Refused),
            (400, r#"{"error":"server_error"}"#, ErrorKind::Unavailable),
            (403, "no", ErrorKind::Refused),
            (429, "", ErrorKind::RateLimited),
            (502, "", ErrorKind::Unavailable),
            (302, "", ErrorKind::InvalidResponse),
        ] {
            let refused = granted(answer(status, body), now()).unwrap_err();
            assert_eq!(refused.error.kind(), kind, "{status} {body}");
        }
        let body = r#"{"error":"invalid_grant","error_description":"Bad Request"}"#;
        let refused = granted(answer(400, body), now()).unwrap_err();
        let said = refused.error.to_string();
        assert!(said.contains("invalid_grant: Bad Request"), "{said}");
        assert!(said.contains("application-default login"), "{said}");
        let body = r#"{"error":"invalid_grant","error_subtype":"invalid_rapt"}"#;
        let refused = granted(answer(400, body), now()).unwrap_err();
        assert!(refused.error.hint().unwrap().contains("fresh login"));
    }

    #[test]
    fn a_refusal_repeats_no_token() {
        for token in [
            "ya29.c.q9Zt3KxW7vB1",
            "1//0gAbCd",
            "eyJhbGciOiJSUzI1NiJ9.e30.c2ln",
        ] {
            let body = format!(r#"{{"error":"{token}","error_description":"{token}"}}"#);
            let refused = granted(answer(400, &body), now()).unwrap_err();
            assert!(!refused.error.to_string().contains(token));
        }
    }
}
