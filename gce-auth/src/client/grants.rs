//! Requests for tokens to the servers beside the metadata server: OAuth, STS,
//! IAM, and those that know a subject token.

use http::{Request, Response};
use zeroize::Zeroizing;

#[cfg(feature = "adc")]
use crate::values::secret::SecretText;
use crate::{
    client::{api::Api, config::Config},
    values::{
        budget::Budget,
        error::Error,
        token::{Bearer, Now},
    },
    wire::{
        api::Refusal,
        iam, iam_tokens,
        oauth::{self, Granted},
        retry::server::Server,
    },
};

/// How often google-auth asks for another token of a source whose token was
/// rejected (`google.auth.transport.requests`).
const REJECTIONS: u32 = 2;

/// Asks an OAuth token endpoint for an access token.
pub(crate) fn granted(
    config: &Config,
    budget: &Budget,
    make: impl FnMut() -> Result<Request<Vec<u8>>, Error>,
) -> Result<Granted, Error> {
    send(config, Server::TokenEndpoint, budget, make, oauth::granted)
}

/// Asks an OAuth token endpoint for an ID token for `audience`.
#[cfg(feature = "adc")]
pub(crate) fn id_token(
    config: &Config,
    budget: &Budget,
    make: impl FnMut() -> Result<Request<Vec<u8>>, Error>,
    audience: &str,
) -> Result<Bearer, Error> {
    use crate::wire::grant;
    let read = |response, sent| grant::id_token(response, audience, sent);
    send(config, Server::TokenEndpoint, budget, make, read)
}

/// Asks the token endpoint for the ID token of a person, which comes with an
/// access token, and for the refresh token that replaces the one that was sent.
#[cfg(feature = "adc")]
pub(crate) fn id_token_of_user(
    config: &Config,
    budget: &Budget,
    make: impl FnMut() -> Result<Request<Vec<u8>>, Error>,
    audience: &str,
) -> Result<(Result<Bearer, Error>, Option<SecretText>), Error> {
    use crate::wire::grant;
    let read = |response, sent| grant::id_token_of_user(response, audience, sent);
    send(config, Server::TokenEndpoint, budget, make, read)
}

/// Asks STS for a token.
pub(crate) fn exchanged<T>(
    config: &Config,
    budget: &Budget,
    make: impl FnMut() -> Result<Request<Vec<u8>>, Error>,
    read: impl Fn(Response<Vec<u8>>, Now) -> Result<T, Error>,
) -> Result<T, Error> {
    let read = |response, sent| read(response, sent).map_err(Refusal::from);
    send(config, Server::Exchange, budget, make, read)
}

/// Asks IAM for an access token of an account.
pub(crate) fn access_token(
    config: &Config,
    budget: &Budget,
    make: impl FnMut() -> Result<Request<Vec<u8>>, Error>,
) -> Result<Bearer, Error> {
    send(config, Server::Exchange, budget, make, iam_tokens::accessed)
}

/// Asks IAM for an ID token of an account, with a token that the account has
/// signed.
#[cfg(feature = "adc")]
pub(crate) fn identity(
    config: &Config,
    budget: &Budget,
    make: impl FnMut() -> Result<Request<Vec<u8>>, Error>,
    audience: &str,
) -> Result<Bearer, Error> {
    // It stands in for the token endpoint, and is read like one.
    let read = |response, sent| match oauth::passing(&response, "the IAM API") {
        Some(refusal) => Err(refusal),
        None => iam_tokens::identified(response, audience, sent),
    };
    send(config, Server::TokenEndpoint, budget, make, read)
}

/// Asks IAM for an ID token of an account, with a token of a source: where IAM
/// rejects that, `reject` drops it.
pub(crate) fn impersonated_identity(
    config: &Config,
    budget: &Budget,
    make: impl FnMut() -> Result<Request<Vec<u8>>, Error>,
    reject: impl Fn(&Request<Vec<u8>>) -> Result<bool, Error>,
    audience: &str,
) -> Result<Bearer, Error> {
    let read = |response, sent| iam_tokens::identified(response, audience, sent);
    send_again(config, Server::Exchange, budget, make, reject, read)
}

/// Asks IAM for a JWT that an account signs.
pub(crate) fn signed_jwt(
    config: &Config,
    budget: &Budget,
    make: impl FnMut() -> Result<Request<Vec<u8>>, Error>,
) -> Result<Zeroizing<String>, Error> {
    let read = |response, _| iam::jwt(response);
    send(config, Server::Exchange, budget, make, read)
}

/// Asks IAM for a signature of an account, and the id of its key where IAM says
/// it.
pub(crate) fn signed_blob(
    config: &Config,
    make: impl FnMut() -> Result<Request<Vec<u8>>, Error>,
    reject: impl Fn(&Request<Vec<u8>>) -> Result<bool, Error>,
) -> Result<(Option<String>, Vec<u8>), Error> {
    let read = |response, _| iam::blob_and_key(response);
    send_again(
        config,
        Server::Signing,
        &config.budget(),
        make,
        reject,
        read,
    )
}

/// Asks a server of the platform for what proves the program's identity there.
/// It is whatever the file says; no redirect is followed. `read` takes the body.
#[cfg(feature = "adc")]
pub(crate) fn subject<T>(
    config: &Config,
    budget: &Budget,
    make: impl FnMut() -> Result<Request<Vec<u8>>, Error>,
    read: impl Fn(&[u8]) -> Result<T, Error>,
) -> Result<T, Error> {
    use crate::values::error::ErrorKind;
    let read = |response: Response<Vec<u8>>, _| {
        let response = response.map(Zeroizing::new);
        let kind = match response.status().as_u16() {
            200 => return read(response.body()).map_err(Refusal::from),
            429 => ErrorKind::RateLimited,
            408 | 500.. => ErrorKind::Unavailable,
            // A redirect, which is not followed, or a success without a token.
            ..=399 => ErrorKind::InvalidResponse,
            _ => ErrorKind::Refused,
        };
        let error = Error::new(
            kind,
            "the server that `credential_source` names gave no token",
        );
        Err(Refusal::of(&response, error))
    };
    send(config, Server::Exchange, budget, make, read)
}

/// Asks the resource manager for the id of a project.
#[cfg(feature = "adc")]
pub(crate) fn project(
    config: &Config,
    make: impl FnMut() -> Result<Request<Vec<u8>>, Error>,
) -> Result<Option<String>, Error> {
    let read = |response: Response<Vec<u8>>, _| {
        if response.status() != http::StatusCode::OK {
            return Ok(None);
        }
        let fields = oauth::object(response.body())?;
        let id = fields.get("projectId").and_then(serde_json::Value::as_str);
        Ok(id.filter(|id| !id.is_empty()).map(str::to_owned))
    };
    send(config, Server::Exchange, &config.budget(), make, read)
}

/// Sends requests again while their token is rejected and another comes.
fn send_again<T>(
    config: &Config,
    server: Server,
    budget: &Budget,
    mut make: impl FnMut() -> Result<Request<Vec<u8>>, Error>,
    reject: impl Fn(&Request<Vec<u8>>) -> Result<bool, Error>,
    read: impl Fn(Response<Vec<u8>>, Now) -> Result<T, Refusal>,
) -> Result<T, Error> {
    let mut rejections = 0;
    loop {
        let mut last = None;
        let noted = || {
            let request = make()?;
            // The headers alone: a body is not looked at.
            last = Some(Request::from_parts(
                request.clone().into_parts().0,
                Vec::new(),
            ));
            Ok(request)
        };
        match send(config, server, budget, noted, &read) {
            Err(error) if error.status() == Some(401) && rejections < REJECTIONS => {
                let rejected = last.map(|last| reject(&last)).transpose()?;
                if rejected != Some(true) {
                    return Err(error);
                }
                rejections += 1;
            }
            outcome => return outcome,
        }
    }
}

fn send<T>(
    config: &Config,
    server: Server,
    budget: &Budget,
    make: impl FnMut() -> Result<Request<Vec<u8>>, Error>,
    read: impl Fn(Response<Vec<u8>>, Now) -> Result<T, Refusal>,
) -> Result<T, Error> {
    let api = Api {
        config,
        server,
        policy: &config.retry,
        limits: &config.api_limits,
    };
    api.send(&mut budget.clone(), make, read)
}
