//! Status, headers and bytes of an answer -> a value, or an error that says
//! what was wrong with it.

use std::{fmt, time::Duration};

use http::{Response, StatusCode, header};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::{
    values::{
        error::{Error, ErrorKind},
        jwt::UnverifiedClaims,
        secret::BearerValue,
        token::{Bearer, Now, Validity},
        universe::DEFAULT_UNIVERSE,
    },
    wire::{request::METADATA_FLAVOR, retry::after},
};

/// No answer that holds a token or describes an account is longer, in bytes.
const LONGEST_OBJECT: usize = 64 * 1024;

/// An answer whose status is a success and whose sender is a metadata server.
pub(crate) struct Answer(Response<Zeroizing<Vec<u8>>>);

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Answer")
    }
}

/// A failed answer.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) error: Error,
    /// Whether the answer says that it comes from a metadata server.
    pub(crate) genuine: bool,
    /// Whether it counts only if it comes from one: a refusal that is final.
    pub(crate) needs_proof: bool,
}

impl Failure {
    /// A failure of the server that was asked.
    pub(crate) fn new(error: Error) -> Self {
        Self {
            error,
            genuine: false,
            needs_proof: false,
        }
    }
}

/// Accepts an answer, or says why not. `Metadata-Flavor: Google` is required
/// on success only: what stands in front of the server may fail without it.
/// `now` is the time on this machine's wall clock.
pub(crate) fn accept(response: Response<Vec<u8>>, now: Now) -> Result<Answer, Failure> {
    let response = response.map(Zeroizing::new);
    let status = response.status();
    if status.is_success() && !has_flavor(&response) {
        return Err(Failure::new(not_a_metadata_server(
            "what answered is not a metadata server: no Metadata-Flavor: Google in the answer",
        )));
    }
    if status == StatusCode::OK {
        return Ok(Answer(response));
    }
    if status.is_success() {
        // No content, a part of it, or another server's version of it.
        return Err(Failure::new(
            unusable("the metadata server answered with a success that is not 200")
                .with_status(status.as_u16()),
        ));
    }
    if status.is_redirection() {
        return Err(Failure::new(
            not_a_metadata_server("what answered is not a metadata server: it redirects")
                .with_status(status.as_u16()),
        ));
    }
    let (kind, what) = match status {
        StatusCode::NOT_FOUND => (ErrorKind::NotFound, "the metadata server has no such path"),
        StatusCode::FORBIDDEN => (
            ErrorKind::Forbidden,
            "the metadata server refuses this path",
        ),
        StatusCode::TOO_MANY_REQUESTS => (
            ErrorKind::RateLimited,
            "the metadata server asks to slow down",
        ),
        StatusCode::REQUEST_TIMEOUT => (ErrorKind::Unavailable, "the metadata server gave up"),
        StatusCode::NOT_IMPLEMENTED => (
            ErrorKind::InvalidResponse,
            "the metadata server does not know this method",
        ),
        status if status.is_server_error() => {
            (ErrorKind::Unavailable, "the metadata server failed")
        }
        _ => (
            ErrorKind::InvalidResponse,
            "the metadata server refused the request",
        ),
    };
    let mut error = Error::new(kind, what).with_status(status.as_u16());
    if let Some(said) = said(&response) {
        error = Error::new(kind, format!("{what}: {said}")).with_status(status.as_u16());
    }
    let genuine = has_flavor(&response) || names_a_metadata_server(&response);
    let passes = matches!(
        status,
        StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT
    );
    Err(Failure {
        error: error.with_retry_after(after::asked_for(response.headers(), Some(now.wall))),
        genuine,
        needs_proof: !genuine && status.is_client_error() && !passes,
    })
}

/// The error of a refusal, with this status, by something else than a metadata
/// server.
pub(crate) fn impostor(status: Option<u16>) -> Error {
    let error = Error::new(
        ErrorKind::NotMetadataServer,
        "what answered is not a metadata server: no Metadata-Flavor: Google, neither here nor at /",
    )
    .with_hint(
        "is another cloud's metadata server, a proxy, a captive portal or another server at this \
         address?",
    );
    match status {
        Some(status) => error.with_status(status),
        None => error,
    }
}

/// The slash that a 301 adds to the path asked for, and nothing else.
pub(crate) fn adds_only_a_slash(response: &Response<Vec<u8>>, path: &str) -> bool {
    if response.status() != StatusCode::MOVED_PERMANENTLY || !has_flavor(response) {
        return false;
    }
    let Some(location) = response
        .headers()
        .get(header::LOCATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.parse::<http::Uri>().ok())
    else {
        return false;
    };
    location.path().strip_suffix('/') == Some(path)
}

impl Answer {
    /// A header, if it is there and is text; the first of several.
    pub(crate) fn header(&self, name: header::HeaderName) -> Option<&str> {
        self.0.headers().get(name)?.to_str().ok()
    }

    /// The body as text.
    pub(crate) fn text(&self) -> Result<&str, Error> {
        std::str::from_utf8(self.0.body()).map_err(|_| unusable("the answer is not UTF-8 text"))
    }

    pub(crate) fn json(&self) -> Result<Value, Error> {
        serde_json::from_slice(self.0.body()).map_err(|_| {
            if self.0.body().is_empty() {
                unusable("the answer is empty where JSON is due")
            } else {
                unusable("the answer is not JSON")
            }
        })
    }

    pub(crate) fn object(&self) -> Result<Map<String, Value>, Error> {
        // Small things in JSON take much room in memory.
        if self.0.body().len() > LONGEST_OBJECT {
            return Err(unusable("the answer is longer than 64 KiB"));
        }
        match self.json()? {
            Value::Object(map) => Ok(map),
            _ => Err(unusable("the answer is JSON, but not an object")),
        }
    }
}

/// An access token; `sent` is the moment before it was asked for.
pub(crate) fn token(answer: &Answer, sent: Now) -> Result<Bearer, Error> {
    access_token(&mut answer.object()?, sent)
}

/// `access_token`, `token_type` and `expires_in` of an answer.
pub(crate) fn access_token(fields: &mut Map<String, Value>, sent: Now) -> Result<Bearer, Error> {
    let value = token_text(fields)?;
    let lifetime = seconds(fields.get("expires_in"))?;
    Ok(Bearer::new(value, Validity::lasting(sent, lifetime)))
}

/// `access_token` and `token_type` of an answer.
pub(crate) fn token_text(fields: &mut Map<String, Value>) -> Result<BearerValue, Error> {
    let Some(Value::String(token)) = fields.get_mut("access_token").map(Value::take) else {
        return Err(unusable("the answer holds no access_token"));
    };
    let token = Zeroizing::new(token);
    let value = BearerValue::new(&token)
        .ok_or_else(|| unusable("the access_token is empty or cannot stand in a header"))?;
    match fields.get("token_type") {
        None | Some(Value::Null) => {}
        Some(Value::String(kind)) if kind.eq_ignore_ascii_case("bearer") => {}
        Some(_) => return Err(unusable("the token_type is not Bearer")),
    }
    Ok(value)
}

/// A lifetime in seconds: an integer, a float, or either of them as text.
fn seconds(value: Option<&Value>) -> Result<Duration, Error> {
    let number = match value {
        Some(Value::Number(number)) => number.as_f64(),
        Some(Value::String(text)) => number_in(text),
        _ => None,
    };
    let lifetime = match number {
        // Nothing rounds to "for ever" but what is too large to be a time.
        Some(number) if number > 0.0 => {
            Some(Duration::try_from_secs_f64(number).unwrap_or(Duration::MAX))
        }
        Some(number) if number <= 0.0 => Some(Duration::ZERO),
        _ => None,
    };
    match lifetime {
        Some(Duration::ZERO) => Err(Error::new(
            ErrorKind::Expired,
            "the access token had expired before it was handed out",
        )),
        Some(lifetime) => Ok(lifetime),
        None => Err(unusable("the answer holds no expires_in that is a number")),
    }
}

/// A number as JSON writes it, with nothing but blanks around it.
fn number_in(text: &str) -> Option<f64> {
    serde_json::from_slice::<Value>(text.as_bytes())
        .ok()?
        .as_f64()
}

/// An ID token for `audience`, seen at `now`.
pub(crate) fn identity(answer: &Answer, audience: &str, now: Now) -> Result<Bearer, Error> {
    id_token(answer.text()?.trim(), audience, now)
}

/// Checks what can be checked of an ID token without keys.
pub(crate) fn id_token(token: &str, audience: &str, now: Now) -> Result<Bearer, Error> {
    let claims = UnverifiedClaims::read(token)
        .map_err(|why| unusable(format!("the answer is not an ID token: {why}")))?;
    let expiry = claims
        .expiry()
        .filter(|exp| *exp >= 0.0)
        .ok_or_else(|| unusable("the ID token holds no exp that is a number"))?;
    if claims.has("aud") && !claims.is_for(audience) {
        return Err(unusable("the ID token is for another audience"));
    }
    let expiry = Duration::try_from_secs_f64(expiry).unwrap_or(Duration::MAX);
    if expiry <= now.wall {
        return Err(Error::new(
            ErrorKind::Expired,
            "the ID token had expired before it was handed out",
        )
        .with_hint("is the clock of this machine right?"));
    }
    let value =
        BearerValue::new(token).ok_or_else(|| unusable("the ID token cannot stand in a header"))?;
    // Where the wall clock is behind, `exp` alone would seem further away.
    let lifetime = claims.lifetime().unwrap_or(Duration::MAX);
    let validity = Validity::until(now, expiry).at_most(now, lifetime);
    Ok(Bearer::new(value, validity))
}

/// One value per line, as the server lists scopes and aliases.
pub(crate) fn lines(text: &str) -> Vec<String> {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .map(str::to_owned)
        .collect()
}

/// The universe domain; empty means the default one, as an older server says.
pub(crate) fn universe_domain(text: &str) -> Result<String, Error> {
    let domain = text.trim();
    if domain.is_empty() {
        return Ok(DEFAULT_UNIVERSE.to_owned());
    }
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(plain)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if domain.len() <= 253 && domain.split('.').all(label) {
        Ok(domain.to_owned())
    } else {
        Err(unusable("the universe domain is not a domain name"))
    }
}

/// The last segment of `projects/NUMBER/zones/ZONE`, or the whole.
pub(crate) fn last_segment(text: &str) -> &str {
    let text = text.trim();
    text.rsplit('/').next().unwrap_or(text)
}

/// The region of a zone: `us-central1` of `us-central1-a`.
pub(crate) fn region_of(zone: &str) -> Option<&str> {
    zone.rsplit_once('-').map(|(region, _)| region)
}

/// Whether an answer says that it comes from a metadata server.
pub(crate) fn has_flavor<B>(response: &Response<B>) -> bool {
    let mut flavors = response.headers().get_all(METADATA_FLAVOR).iter();
    flavors.next().is_some_and(|value| value == "Google") && flavors.all(|value| value == "Google")
}

/// Whether the `Server` of an answer is Google's: `Metadata Server for VM`, `GKE
/// Metadata Server`, `Metadata Server for Serverless`.
fn names_a_metadata_server<B>(response: &Response<B>) -> bool {
    let server = response.headers().get(header::SERVER);
    let server = server.and_then(|server| server.to_str().ok());
    server.is_some_and(|server| server.contains("Metadata Server"))
}

pub(crate) fn unusable(what: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::InvalidResponse, what)
}

fn not_a_metadata_server(what: &'static str) -> Error {
    Error::new(ErrorKind::NotMetadataServer, what)
        .with_hint("is a proxy, a captive portal or another server at this address?")
}

/// What a plain-text refusal says, for people: its first line, shortened. An
/// HTML page says nothing that the status does not.
fn said(response: &Response<Zeroizing<Vec<u8>>>) -> Option<String> {
    const LONGEST: usize = 200;
    let text = std::str::from_utf8(response.body()).ok()?.trim();
    let line = text.lines().next()?.trim();
    if line.is_empty() || line.starts_with(['<', '{', '[']) {
        return None;
    }
    // Before it is shortened: half of a token is one too many.
    if line
        .split_whitespace()
        .any(|word| word.len() > 80 || may_hold_token(word))
    {
        return None;
    }
    let plain = line.chars().filter(|c| !c.is_control()).take(LONGEST);
    Some(plain.collect())
}

/// Whether Google's access tokens, or a JWT, begin somewhere in `text`.
pub(crate) fn may_hold_token(text: &str) -> bool {
    ["ya29.", "eyJ", "1//"]
        .into_iter()
        .any(|start| text.contains(start))
}

#[cfg(test)]
mod tests;
