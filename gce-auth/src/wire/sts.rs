//! The Security Token Service: narrower tokens for tokens, and what every
//! exchange answers (RFC 8693; Google, "Security Token Service API").

use http::{Request, Response, StatusCode};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::{
    values::{
        error::Error,
        token::{Bearer, Now, Validity},
    },
    wire::{
        oauth::{self, form},
        response,
    },
};

pub(crate) const GRANT: (&str, &str) = (
    "grant_type",
    "urn:ietf:params:oauth:grant-type:token-exchange",
);
pub(crate) const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

/// What to do about a subject token that is refused.
const PROVIDER: &str = "see the conditions and the attribute mapping of the pool's provider, and \
     whether the token of the other provider is still good";

/// Asks for a token like `token` that may do no more than `boundary` says, a
/// JSON document.
pub(crate) fn downscope(
    token_url: &str,
    token: &str,
    boundary: &str,
) -> Result<Request<Vec<u8>>, Error> {
    let pairs = [
        GRANT,
        ("requested_token_type", ACCESS_TOKEN),
        ("subject_token", token),
        ("subject_token_type", ACCESS_TOKEN),
        ("options", boundary),
    ];
    oauth::post(token_url, &form(&pairs))
}

/// The token in an answer to a request that was sent at `sent`.
#[cfg(feature = "adc")]
pub(crate) fn exchanged(response: Response<Vec<u8>>, sent: Now) -> Result<Bearer, Error> {
    use crate::values::error::ErrorKind;
    let mut fields = accept(response).map_err(|error| match error.kind() {
        // There is no login to repeat here.
        ErrorKind::Refused => error.with_hint(PROVIDER),
        _ => error,
    })?;
    response::access_token(&mut fields, sent)
}

/// The same of a narrower token, which lives no longer than the `source` token,
/// and as long where the answer does not say (Google, "Downscope with Credential
/// Access Boundaries"). The answer rounds, and counts from a later request.
pub(crate) fn downscoped(
    response: Response<Vec<u8>>,
    sent: Now,
    source: Validity,
) -> Result<Bearer, Error> {
    let mut fields = accept(response)?;
    let says = match fields.get("expires_in") {
        None | Some(Value::Null) => false,
        Some(value) => value.as_f64() != Some(0.0),
    };
    if says {
        let token = response::access_token(&mut fields, sent)?;
        let validity = token.validity().within(source);
        return Ok(Bearer::new(token.value().clone(), validity));
    }
    response::token_text(&mut fields).map(|value| Bearer::new(value, source))
}

/// The members of an answer that is a success.
pub(crate) fn accept(response: Response<Vec<u8>>) -> Result<Map<String, Value>, Error> {
    let response = response.map(Zeroizing::new);
    if response.status() != StatusCode::OK {
        let refused = oauth::refused(&response, "the token exchange");
        return Err(refused.error.or_hint(PROVIDER));
    }
    oauth::object(response.body())
}

#[cfg(test)]
mod tests;
