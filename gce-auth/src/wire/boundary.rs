//! Regional access boundaries: the request of the IAM API, and its answer.

use http::{HeaderValue, Request, Response, StatusCode, Uri, header::AUTHORIZATION};
use serde_json::Value;

use crate::values::error::{Error, ErrorKind};

/// Hosts whose requests stay in their region by themselves.
const REGIONAL: [&str; 4] = [
    ".rep.googleapis.com",
    ".rep.sandbox.googleapis.com",
    ".rep.mtls.googleapis.com",
    ".rep.mtls.sandbox.googleapis.com",
];

/// Whether a request to `uri` stays in its region whatever a boundary says.
pub(crate) fn is_regional(uri: &Uri) -> bool {
    let host = uri.host().unwrap_or_default().to_ascii_lowercase();
    uri.scheme().is_some() && REGIONAL.iter().any(|suffix| host.ends_with(suffix))
}

/// Whether `email` is the address of a service account: others have no
/// boundary.
pub(crate) fn is_service_account(email: &str) -> bool {
    let Some((name, domain)) = email.split_once('@') else {
        return false;
    };
    let domain = domain.to_ascii_lowercase();
    let of_google = domain.strip_suffix(".gserviceaccount.com");
    !name.is_empty() && of_google.is_some_and(|of| !of.is_empty() && !of.contains('@'))
}

/// Where `email` may be used.
pub(crate) fn lookup(
    host: &str,
    email: &str,
    authorization: HeaderValue,
) -> Result<Request<Vec<u8>>, Error> {
    let uri = format!("https://{host}/v1/projects/-/serviceAccounts/{email}/allowedLocations");
    Request::get(uri)
        .header(AUTHORIZATION, authorization)
        .body(Vec::new())
        .map_err(|_| {
            Error::new(
                ErrorKind::InvalidResponse,
                format!("{email:?} cannot stand in a URL"),
            )
        })
}

/// What an answer says.
#[derive(Debug, PartialEq)]
pub(crate) enum Found {
    /// The boundary, encoded; `None` where the account has none.
    Boundary(Option<HeaderValue>),
    /// Nothing, but another attempt may.
    Transient,
    /// Nothing.
    Nothing,
}

/// Reads an answer, as google-auth does (`google.oauth2._client`).
pub(crate) fn found(response: &Response<Vec<u8>>) -> Found {
    let body: Value = serde_json::from_slice(response.body()).unwrap_or_default();
    if response.status() == StatusCode::OK {
        return match body.get("encodedLocations") {
            Some(Value::Null) => Found::Boundary(None),
            Some(Value::String(text)) => match HeaderValue::from_str(text) {
                Ok(value) => Found::Boundary(Some(value)),
                Err(_) => Found::Nothing,
            },
            _ => Found::Nothing,
        };
    }
    let transient = matches!(
        response.status().as_u16(),
        408 | 429 | 500 | 502 | 503 | 504
    );
    if transient || says_transient(&body) {
        Found::Transient
    } else {
        Found::Nothing
    }
}

/// Whether a body says that the failure may pass (RFC 6749, 4.1.2.1).
pub(crate) fn says_transient(body: &Value) -> bool {
    const WORDS: [&str; 3] = [
        "internal_failure",
        "server_error",
        "temporarily_unavailable",
    ];
    let said = |name: &str| match body.get(name) {
        None | Some(Value::Null) => Some(""),
        Some(value) => value.as_str(),
    };
    match (said("error"), said("error_description")) {
        (Some(error), Some(description)) => WORDS.contains(&error) || WORDS.contains(&description),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> Response<Vec<u8>> {
        let mut response = Response::new(body.as_bytes().to_vec());
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        response
    }

    #[test]
    fn regional_hosts_and_service_accounts_are_told() {
        for (uri, regional) in [
            ("https://storage.us-east1.rep.googleapis.com/", true),
            ("https://STORAGE.US-EAST1.REP.MTLS.GOOGLEAPIS.COM/x", true),
            ("https://rep.googleapis.com/", false),
            ("a.rep.googleapis.com", false),
            ("https://storage.googleapis.com/", false),
            ("/", false),
        ] {
            assert_eq!(is_regional(&uri.parse().unwrap()), regional, "{uri}");
        }
        for (email, account) in [
            ("a@p.iam.gserviceaccount.com", true),
            ("Robot@X.IAM.GSERVICEACCOUNT.COM", true),
            ("@p.iam.gserviceaccount.com", false),
            ("a@.gserviceaccount.com", false),
            ("a@gserviceaccount.com", false),
            ("a@b@p.gserviceaccount.com", false),
            ("user@example.com", false),
            ("pool.svc.id.goog", false),
            ("", false),
        ] {
            assert_eq!(is_service_account(email), account, "{email}");
        }
    }

    #[test]
    fn answers_are_read() {
        let value = |text| Found::Boundary(Some(HeaderValue::from_static(text)));
        for (status, body, says) in [
            (200, r#"{"encodedLocations":"0xA30"}"#, value("0xA30")),
            (200, r#"{"encodedLocations":null}"#, Found::Boundary(None)),
            (200, r#"{"encodedLocations":7}"#, Found::Nothing),
            (200, r#"{"encodedLocations":"a\nb"}"#, Found::Nothing),
            (200, r#"{"locations":[]}"#, Found::Nothing),
            (200, "[]", Found::Nothing),
            (502, "", Found::Transient),
            (429, "{}", Found::Transient),
            (400, r#"{"error":"server_error"}"#, Found::Transient),
            (400, r#"{"error":{"status":"X"}}"#, Found::Nothing),
            (404, "no", Found::Nothing),
        ] {
            assert_eq!(found(&answer(status, body)), says, "{status} {body}");
        }
    }

    #[test]
    fn a_lookup_is_a_request_of_the_iam_api() {
        let request = lookup("iam.example", "a@b", HeaderValue::from_static("Bearer t")).unwrap();
        assert_eq!(
            request.uri(),
            "https://iam.example/v1/projects/-/serviceAccounts/a@b/allowedLocations"
        );
        assert!(lookup("iam.example", "a b", HeaderValue::from_static("x")).is_err());
    }
}
