//! Tokens that a service account signs itself, which Google's APIs take as they take access tokens
//! (AIP-4111).

use gce_auth_server::protocol::Reply;

use crate::{
    clock::Instant,
    cloud::{assertion, errors, lookup, oauth::is_timely},
    policy::{principal::Principal, tokens::Grant},
    state::State,
};

/// For how long a token is good, in seconds: an hour, from some seconds ago as libraries sign it.
const LONGEST: i64 = 3900;

/// What a token allows, if an account of the emulator signed it for an API: with scopes, or with
/// the API's origin for its audience, which allows all of `scopes`.
pub(crate) async fn grant(
    state: &State,
    token: &str,
    (api, scopes): (&str, &[&str]),
    now: Instant,
) -> Result<Grant, Reply> {
    let refused = || errors::unauthenticated(true);
    let claims = match token.split('.').count() {
        3 => assertion::verified(state, token)
            .await
            .ok_or_else(refused)?,
        _ => return Err(refused()),
    };
    let issuer = claims["iss"].as_str().unwrap_or_default();
    if claims["sub"] != issuer || !is_timely(&claims, now, LONGEST) {
        return Err(refused());
    }
    let account = lookup::account(state, issuer).ok_or_else(refused)?;
    let wanted = claims["scope"].as_str().unwrap_or_default();
    let scopes: Vec<String> = if !wanted.is_empty() {
        wanted.split_whitespace().map(Into::into).collect()
    } else if claims["aud"]
        .as_str()
        .map(|name| name.trim_end_matches('/'))
        == Some(api)
    {
        scopes.iter().map(|scope| (*scope).into()).collect()
    } else {
        return Err(refused());
    };
    Ok(Grant::new(Principal::service_account(account), scopes))
}
