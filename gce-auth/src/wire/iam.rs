//! The IAM Service Account Credentials API: requests, answers, refusals.

use std::fmt;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use http::{HeaderValue, Method, Request, Response, StatusCode, Uri, header, uri::Scheme};
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use crate::{
    values::{
        endpoint::without_user,
        error::{Error, ErrorKind},
    },
    wire::{
        api::Refusal,
        response::{may_hold_token, unusable},
    },
};

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// Where the API is: scheme and authority.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct IamEndpoint(Uri);

impl IamEndpoint {
    /// Reads `https://host` or, for emulators, `http://host:port`.
    pub(crate) fn parse(text: &str) -> Result<Self, Error> {
        let refuse = |why: &str| {
            let text = without_user(text);
            Error::new(
                ErrorKind::Config,
                format!("{text:?} is not the URL of an API: {why}"),
            )
            .with_hint("write https://host, or http://host:port for an emulator")
        };
        let uri: Uri = text.trim().parse().map_err(|_| refuse("it is not a URL"))?;
        if !matches!(uri.scheme_str(), Some("https" | "http")) {
            return Err(refuse("it begins with neither https:// nor http://"));
        }
        let authority = uri.authority().ok_or_else(|| refuse("it has no host"))?;
        if authority.host().is_empty() || authority.as_str().contains('@') {
            return Err(refuse("it has no host, or a user name"));
        }
        if !matches!(uri.path(), "" | "/") || uri.query().is_some() {
            return Err(refuse("it has a path"));
        }
        Ok(Self(uri))
    }

    pub(crate) fn url(&self) -> &Uri {
        &self.0
    }

    /// The API at the scheme and the authority of `uri`.
    #[cfg(feature = "adc")]
    pub(crate) fn of(uri: &Uri) -> Result<Self, Error> {
        let scheme = uri.scheme_str().unwrap_or("https");
        let authority = uri.authority().map_or("", |authority| authority.as_str());
        Self::parse(&format!("{scheme}://{authority}"))
    }

    pub(crate) fn method(&self, email: &str, method: &str) -> Result<Uri, Error> {
        let refuse = |_| not_an_account(email);
        let authority = self.0.authority().cloned();
        Uri::builder()
            .scheme(self.0.scheme().cloned().unwrap_or(Scheme::HTTPS))
            .authority(authority.ok_or_else(|| not_an_account(email))?)
            .path_and_query(format!("/v1/projects/-/serviceAccounts/{email}:{method}"))
            .build()
            .map_err(refuse)
    }
}

impl fmt::Debug for IamEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Checks that `email` names a service account in a path of this API: an email
/// address, or a unique id.
pub(crate) fn check_account(email: &str) -> Result<(), Error> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"@.-_+:".contains(&byte);
    let is_id = !email.is_empty() && email.bytes().all(|byte| byte.is_ascii_digit());
    if email.bytes().all(plain) && (is_id || email.contains('@')) {
        Ok(())
    } else {
        Err(not_an_account(email))
    }
}

fn not_an_account(email: &str) -> Error {
    Error::new(
        ErrorKind::Config,
        format!("{email:?} does not name a service account that can sign"),
    )
    .with_hint("name the service account by its email address")
}

/// The account that signs, and the delegates.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Signatory<'a> {
    pub(crate) email: &'a str,
    /// The accounts between the caller and who signs, by email address.
    pub(crate) delegates: Option<&'a [String]>,
}

impl<'a> Signatory<'a> {
    pub(crate) fn alone(email: &'a str) -> Self {
        Self {
            email,
            delegates: None,
        }
    }
}

/// `signBlob`: a signature over any bytes.
pub(crate) fn sign_blob(
    endpoint: &IamEndpoint,
    who: Signatory<'_>,
    bytes: &[u8],
) -> Result<Request<Vec<u8>>, Error> {
    let payload = BASE64_STANDARD.encode(bytes);
    post(endpoint.method(who.email, "signBlob")?, who, &payload)
}

/// `signJwt`: a whole JWT with these claims.
pub(crate) fn sign_jwt(
    endpoint: &IamEndpoint,
    who: Signatory<'_>,
    claims: &str,
) -> Result<Request<Vec<u8>>, Error> {
    post(endpoint.method(who.email, "signJwt")?, who, claims)
}

/// Checks that `claims` are what `signJwt` takes.
pub(crate) fn check_claims(claims: &str) -> Result<(), Error> {
    match serde_json::from_str(claims) {
        Ok(Value::Object(_)) => Ok(()),
        _ => Err(Error::new(
            ErrorKind::Config,
            "the claims of a JWT are a JSON object",
        )),
    }
}

fn post(uri: Uri, who: Signatory<'_>, payload: &str) -> Result<Request<Vec<u8>>, Error> {
    let mut body = json!({ "payload": payload });
    if let Some(delegates) = who.delegates.filter(|delegates| !delegates.is_empty()) {
        let name = |email: &String| format!("projects/-/serviceAccounts/{email}");
        body["delegates"] = delegates.iter().map(name).collect();
    }
    Request::builder()
        .method(Method::POST)
        .uri(uri)
        .header(header::CONTENT_TYPE, JSON)
        .body(body.to_string().into_bytes())
        .map_err(|_| Error::new(ErrorKind::Config, "the request makes no sense"))
}

/// What `signBlob` answers: the key's id, and the signature.
pub(crate) fn signed_blob(response: Response<Vec<u8>>) -> Result<(String, Vec<u8>), Refusal> {
    let mut fields = accept(response)?;
    let key_id = text(&mut fields, "keyId")?;
    Ok((key_id, blob(fields)?))
}

/// The answer of `signBlob`, without the key's id: the signature.
pub(crate) fn signature(response: Response<Vec<u8>>) -> Result<Vec<u8>, Refusal> {
    blob(accept(response)?)
}

fn blob(mut fields: Map<String, Value>) -> Result<Vec<u8>, Refusal> {
    let encoded = Zeroizing::new(text(&mut fields, "signedBlob")?);
    let signature = BASE64_STANDARD
        .decode(&*encoded)
        .map_err(|_| unusable("the signedBlob is not base64"))?;
    if signature.is_empty() {
        return Err(unusable("the signedBlob is empty").into());
    }
    Ok(signature)
}

/// What `signBlob` answers: the signature, and the key's id if it is there.
pub(crate) fn blob_and_key(
    response: Response<Vec<u8>>,
) -> Result<(Option<String>, Vec<u8>), Refusal> {
    let mut fields = accept(response)?;
    let key_id = text(&mut fields, "keyId").ok();
    Ok((key_id, blob(fields)?))
}

/// What `signJwt` answers: the JWT.
pub(crate) fn jwt(response: Response<Vec<u8>>) -> Result<Zeroizing<String>, Refusal> {
    let mut fields = accept(response)?;
    Ok(Zeroizing::new(text(&mut fields, "signedJwt")?))
}

/// What `signJwt` answers: the key's id, and the JWT.
pub(crate) fn signed_jwt(
    response: Response<Vec<u8>>,
) -> Result<(String, Zeroizing<String>), Refusal> {
    let mut fields = accept(response)?;
    let jwt = Zeroizing::new(text(&mut fields, "signedJwt")?);
    let key_id = text(&mut fields, "keyId")?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if jwt.split('.').count() != 3 || !jwt.bytes().all(plain) {
        return Err(unusable("the signedJwt is not a JWT").into());
    }
    Ok((key_id, jwt))
}

/// Takes a text out, so that no copy of it stays behind.
fn text(fields: &mut Map<String, Value>, name: &str) -> Result<String, Refusal> {
    match fields.remove(name) {
        Some(Value::String(text)) if !text.is_empty() => Ok(text),
        _ => Err(unusable(format!("the answer holds no {name}")).into()),
    }
}

/// The JSON object of an answer that is a success, or what was wrong. Google's
/// APIs send no `Metadata-Flavor`; that they are who they are, TLS says.
pub(crate) fn accept(response: Response<Vec<u8>>) -> Result<Map<String, Value>, Refusal> {
    let response = response.map(Zeroizing::new);
    if response.status() != StatusCode::OK {
        return Err(refusal(&response));
    }
    match serde_json::from_slice(response.body()) {
        Ok(Value::Object(fields)) => Ok(fields),
        _ => Err(unusable("the answer is not a JSON object").into()),
    }
}

/// What a failed answer means, from its status and Google's error envelope
/// (`google.rpc.Status` as JSON).
fn refusal(response: &Response<Zeroizing<Vec<u8>>>) -> Refusal {
    let status = response.status();
    let code = status.as_u16();
    let envelope: Value = serde_json::from_slice(response.body()).unwrap_or_default();
    let envelope = &envelope["error"];
    let (kind, what) = match status {
        StatusCode::TOO_MANY_REQUESTS => (ErrorKind::RateLimited, "the IAM API asks to slow down"),
        StatusCode::REQUEST_TIMEOUT => (ErrorKind::Unavailable, "the IAM API gave up"),
        StatusCode::NOT_IMPLEMENTED => (ErrorKind::Refused, "the IAM API has no such method"),
        status if status.is_server_error() => (ErrorKind::Unavailable, "the IAM API failed"),
        status if status.is_client_error() => {
            (ErrorKind::Refused, "the IAM API refused the request")
        }
        _ => (
            ErrorKind::InvalidResponse,
            "what answered is not the IAM API",
        ),
    };
    let name = said(&envelope["status"]);
    let message = said(&envelope["message"]);
    let what = match (name, message) {
        (Some(name), Some(message)) => format!("{what}: {name}: {message}"),
        (Some(one), None) | (None, Some(one)) => format!("{what}: {one}"),
        (None, None) => what.to_owned(),
    };
    let mut error = Error::new(kind, what);
    if kind == ErrorKind::Refused {
        if let Some(hint) = hint(code, envelope) {
            error = error.with_hint(hint);
        }
    }
    Refusal::of(response, error)
}

/// What to do about a refusal.
fn hint(code: u16, envelope: &Value) -> Option<&'static str> {
    let mut reasons = envelope["details"].as_array().into_iter().flatten();
    let reason = reasons.find_map(|detail| detail["reason"].as_str());
    let message = envelope["message"].as_str().unwrap_or_default();
    let says = |part: &str| message.contains(part);
    match (code, reason) {
        (_, Some("SERVICE_DISABLED")) => Some(ENABLE),
        (403, _) if says("has not been used in project") || says("it is disabled") => Some(ENABLE),
        (_, Some("ACCESS_TOKEN_SCOPE_INSUFFICIENT")) => Some(SCOPE),
        (403, _) if says("insufficient authentication scopes") => Some(SCOPE),
        (403, _) => Some(ROLE),
        (401, _) => Some(
            "the access token was not accepted; is it of the universe and the environment of \
             this API?",
        ),
        (404, _) => Some("does this service account exist, under exactly this name?"),
        _ => None,
    }
}

const ENABLE: &str = "enable the API in the project of the caller: \
     gcloud services enable iamcredentials.googleapis.com";
const SCOPE: &str = "the access token needs the scope \
     https://www.googleapis.com/auth/cloud-platform (or .../auth/iam); on Compute Engine the \
     scopes are set on the instance while it is stopped";
const ROLE: &str = "grant the caller roles/iam.serviceAccountTokenCreator on the service account \
     that signs; an account needs it on itself, too";

/// A text of the envelope, for people: on one line, shortened, and with no
/// word in it that could be a secret.
fn said(value: &Value) -> Option<String> {
    const LONGEST: usize = 400;
    let text = value.as_str()?;
    let mut said = String::new();
    for word in text.split_whitespace() {
        if said.len() + word.len() > LONGEST {
            said.push_str(" …");
            break;
        }
        if !said.is_empty() {
            said.push(' ');
        }
        let long = word.len() > 80 && !word.starts_with("https://");
        if long || may_hold_token(word) {
            said.push('…');
        } else {
            said.extend(word.chars().filter(|c| !c.is_control()));
        }
    }
    (!said.is_empty()).then_some(said)
}

#[cfg(all(test, not(gce_auth_loom)))]
mod tests;
