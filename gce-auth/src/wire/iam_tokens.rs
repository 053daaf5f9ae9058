//! Tokens of service accounts that others act as: `generateAccessToken` and
//! `generateIdToken` of the IAM Service Account Credentials API.

use std::time::Duration;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use http::{HeaderValue, Method, Request, Response, Uri, header::CONTENT_TYPE};
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use crate::{
    values::{
        error::{Error, ErrorKind},
        secret::BearerValue,
        token::{Bearer, Now, Validity},
    },
    wire::{
        api::Refusal,
        date,
        iam::{self, IamEndpoint, Signatory},
        request::{self, X_GOOG_API_CLIENT},
        response::{self, unusable},
    },
};

const JSON: HeaderValue = HeaderValue::from_static("application/json");
/// The default lifetime of a token.
pub(crate) const LIFETIME: Duration = Duration::from_secs(3600);
/// What a token may last at most (Google, "Create short-lived credentials").
pub(crate) const LONGEST: Duration = Duration::from_secs(12 * 3600);

/// Where a method is asked for: at an API, or at a whole URL.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Place {
    /// The account's method at this API.
    Endpoint(IamEndpoint),
    /// This URL.
    Url(Uri),
}

impl Place {
    /// Reads a whole URL.
    pub(crate) fn url(text: &str) -> Result<Self, Error> {
        let uri: Option<Uri> = text.parse().ok();
        match uri {
            Some(uri) if uri.host().is_some_and(|host| !host.is_empty()) => Ok(Self::Url(uri)),
            _ => Err(
                Error::new(ErrorKind::Config, format!("{text:?} is not a URL")).with_hint(
                    "write https://host/v1/projects/-/serviceAccounts/ACCOUNT:generateAccessToken",
                ),
            ),
        }
    }

    pub(crate) fn uri(&self, email: &str, method: &str) -> Result<Uri, Error> {
        match self {
            Self::Endpoint(endpoint) => endpoint.method(email, method),
            Self::Url(uri) => Ok(uri.clone()),
        }
    }
}

/// Asks for an access token of `who`.
pub(crate) fn access_token(
    place: &Place,
    who: Signatory<'_>,
    scopes: &[String],
    lifetime: Duration,
) -> Result<Request<Vec<u8>>, Error> {
    let body = json!({
        "delegates": who.delegates,
        // `null` where there are none, as in google-auth.
        "scope": Some(scopes).filter(|scopes| !scopes.is_empty()),
        "lifetime": format!("{}s", lifetime.as_secs()),
    });
    let uri = place.uri(who.email, "generateAccessToken")?;
    post(uri, &body, Some(request::METRICS_IMPERSONATED_TOKEN))
}

/// Asks for an ID token of `who` for `audience`.
pub(crate) fn id_token(
    place: &Place,
    who: Signatory<'_>,
    audience: &str,
    include_email: bool,
) -> Result<Request<Vec<u8>>, Error> {
    let body = json!({
        "delegates": who.delegates,
        "audience": audience,
        "includeEmail": include_email,
    });
    let uri = place.uri(who.email, "generateIdToken")?;
    post(uri, &body, Some(request::METRICS_IMPERSONATED_IDENTITY))
}

/// Asks for an ID token of the account that has signed the bearer token: what a
/// key of another universe does, which has no token endpoint.
#[cfg(feature = "adc")]
pub(crate) fn id_token_of_self(
    place: &Place,
    email: &str,
    audience: &str,
) -> Result<Request<Vec<u8>>, Error> {
    let body = json!({
        "audience": audience,
        "includeEmail": "true",
        "useEmailAzp": "true",
    });
    post(place.uri(email, "generateIdToken")?, &body, None)
}

/// Signs `bytes` as `who`.
pub(crate) fn sign_blob(
    place: &Place,
    who: Signatory<'_>,
    bytes: &[u8],
) -> Result<Request<Vec<u8>>, Error> {
    let body = json!({
        "delegates": who.delegates,
        "payload": BASE64_STANDARD.encode(bytes),
    });
    post(place.uri(who.email, "signBlob")?, &body, None)
}

/// Signs these claims, a JSON object, as `who`: what acts as a user is then
/// asked for with.
pub(crate) fn sign_jwt(
    place: &Place,
    who: Signatory<'_>,
    claims: &str,
) -> Result<Request<Vec<u8>>, Error> {
    let body = json!({ "delegates": who.delegates, "payload": claims });
    let uri = place.uri(who.email, "signJwt")?;
    post(uri, &body, Some(request::METRICS_IMPERSONATED_TOKEN))
}

fn post(uri: Uri, body: &Value, metrics: Option<HeaderValue>) -> Result<Request<Vec<u8>>, Error> {
    let mut request = Request::builder()
        .method(Method::POST)
        .uri(uri)
        .header(CONTENT_TYPE, JSON)
        .body(body.to_string().into_bytes())
        .map_err(|_| Error::new(ErrorKind::Config, "the request makes no sense"))?;
    if let Some(metrics) = metrics {
        request.headers_mut().insert(X_GOOG_API_CLIENT, metrics);
    }
    Ok(request)
}

/// The access token in an answer to a request that was sent at `sent`.
pub(crate) fn accessed(response: Response<Vec<u8>>, sent: Now) -> Result<Bearer, Refusal> {
    let mut fields = iam::accept(response)?;
    let token = text(&mut fields, "accessToken")?;
    let value = BearerValue::new(&token)
        .ok_or_else(|| unusable("the accessToken cannot stand in a header"))?;
    let expiry = match fields.get("expireTime").and_then(Value::as_str) {
        // In whole seconds, as in google-auth.
        Some(text) if text.ends_with('Z') && !text.contains('.') => date::utc(text),
        _ => None,
    };
    let expiry = expiry.ok_or_else(|| unusable("the answer holds no usable expireTime"))?;
    if expiry <= sent.wall {
        return Err(Error::new(
            ErrorKind::Expired,
            "the access token had expired before it was handed out",
        )
        .with_hint("is the clock of this machine right?")
        .into());
    }
    Ok(Bearer::new(value, Validity::until(sent, expiry)))
}

/// The ID token for `audience` in an answer, seen at `now`.
pub(crate) fn identified(
    response: Response<Vec<u8>>,
    audience: &str,
    now: Now,
) -> Result<Bearer, Refusal> {
    let mut fields = iam::accept(response)?;
    let token = text(&mut fields, "token")?;
    Ok(response::id_token(&token, audience, now)?)
}

fn text(fields: &mut Map<String, Value>, name: &str) -> Result<Zeroizing<String>, Error> {
    match fields.remove(name) {
        Some(Value::String(text)) if !text.is_empty() => Ok(Zeroizing::new(text)),
        Some(_) => Err(unusable(format!("the answer holds no usable {name}"))),
        None => Err(unusable(format!("the answer holds no {name}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Now {
        Now::new(Duration::from_secs(1_700_000_000), Duration::from_secs(1))
    }

    fn at_iam() -> Place {
        Place::Endpoint(IamEndpoint::parse("https://iamcredentials.googleapis.com").unwrap())
    }

    fn answer(status: u16, body: &str) -> Response<Vec<u8>> {
        let mut response = Response::new(body.as_bytes().to_vec());
        *response.status_mut() = http::StatusCode::from_u16(status).unwrap();
        response
    }

    #[test]
    fn an_access_token_is_asked_for_through_delegates() {
        let delegates = ["d@x".to_owned()];
        let who = Signatory {
            email: "t@x",
            delegates: Some(&delegates),
        };
        let scopes = ["s".to_owned()];
        let request = access_token(&at_iam(), who, &scopes, LIFETIME).unwrap();
        assert_eq!(
            request.uri(),
            "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/\
             t@x:generateAccessToken"
        );
        let body: Value = serde_json::from_slice(request.body()).unwrap();
        assert_eq!(
            body,
            json!({"delegates": ["d@x"], "scope": ["s"],
                   "lifetime": "3600s"})
        );
        let metrics = request.headers()["x-goog-api-client"].to_str().unwrap();
        assert!(metrics.ends_with("auth-request-type/at cred-type/imp"));
    }

    #[test]
    fn empty_lists_are_null() {
        let request = access_token(&at_iam(), Signatory::alone("t@x"), &[], LIFETIME).unwrap();
        let body: Value = serde_json::from_slice(request.body()).unwrap();
        assert_eq!(
            body,
            json!({"delegates": null, "scope": null, "lifetime": "3600s"})
        );
    }

    #[test]
    fn a_whole_url_is_asked_as_it_is() {
        let url = "https://iamcredentials.us-east1.rep.googleapis.com/v1/x:generateAccessToken";
        let place = Place::url(url).unwrap();
        let request = access_token(&place, Signatory::alone("t@x"), &[], LIFETIME).unwrap();
        assert_eq!(request.uri(), url);
        assert!(Place::url("/v1/x").is_err());
    }

    #[test]
    fn a_token_ends_when_iam_says_and_not_before_it_began() {
        let body = r#"{"accessToken":"t","expireTime":"2023-11-14T23:13:20Z"}"#;
        let token = accessed(answer(200, body), now()).unwrap();
        assert_eq!(token.validity().lifetime(), LIFETIME);
        for bad in [
            "{}",
            "[]",
            r#"{"accessToken":"","expireTime":"2023-11-14T23:13:20Z"}"#,
            r#"{"accessToken":"t"}"#,
            r#"{"accessToken":"t","expireTime":null}"#,
            r#"{"accessToken":"t","expireTime":"soon"}"#,
            r#"{"accessToken":"t","expireTime":"2023-11-14T23:13:20+00:00"}"#,
            r#"{"accessToken":"t","expireTime":"2023-11-14T23:13:20.5Z"}"#,
        ] {
            let error = accessed(answer(200, bad), now()).unwrap_err().error;
            assert_eq!(error.kind(), ErrorKind::InvalidResponse, "{bad}");
        }
        let past = r#"{"accessToken":"t","expireTime":"2023-11-14T22:13:20Z"}"#;
        let error = accessed(answer(200, past), now()).unwrap_err().error;
        assert_eq!(error.kind(), ErrorKind::Expired);
        let error = accessed(answer(201, body), now()).unwrap_err().error;
        assert_eq!(error.kind(), ErrorKind::InvalidResponse);
    }
}
