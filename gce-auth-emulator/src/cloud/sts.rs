//! The Security Token Service: external credentials for federated tokens, tokens for downscoped
//! ones, and what tokens are worth.

use std::{sync::Arc, time::Duration};

use gce_auth_server::protocol::{Method, Reply, pages};
use serde_json::{Value, json};

use crate::{
    cloud::{call::CloudCall, endpoint::Sts, errors, oauth, subject},
    identity::accounts::CLOUD_PLATFORM,
    policy::{
        boundary::Boundary,
        settings::Settings,
        tokens::{Grant, Issued},
    },
    state::State,
};

const TOKEN_EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";
const ID_TOKEN: &str = "urn:ietf:params:oauth:token-type:id_token";
const AWS: &str = "urn:ietf:params:aws:token-type:aws4_request";
const RESOURCE: &str = "//iam.googleapis.com/";

/// The longest life of a federated token.
const HOUR: Duration = Duration::from_secs(3600);

pub(crate) async fn answer(state: &State, what: Sts, call: &CloudCall) -> Reply {
    if call.method != Method::Post {
        return pages::method_not_allowed(call.method.as_str(), &call.path, "POST");
    }
    match what {
        Sts::Token => exchange(state, call).await,
        Sts::Introspect => introspect(state, call),
        Sts::OauthToken => oauth_token(state, call).await,
        Sts::Revoke => revoke(state, call),
    }
    .unwrap_or_else(|refusal| refusal)
}

async fn exchange(state: &State, call: &CloudCall) -> Result<Reply, Reply> {
    let given = |name: &str| call.parameters.get(name);
    match given("grant_type") {
        Some(TOKEN_EXCHANGE) => {}
        None => return Err(errors::missing("grant_type")),
        Some(other) => {
            return Err(errors::oauth(
                400,
                "unsupported_grant_type",
                &format!("Unsupported grant_type: {other}"),
            ));
        }
    }
    if given("requested_token_type").is_none_or(|kind| kind != ACCESS_TOKEN) {
        return Err(errors::invalid_request(&format!(
            "Invalid value for \"requested_token_type\". This value should be {ACCESS_TOKEN}."
        )));
    }
    let kind = given("subject_token_type").ok_or_else(|| errors::missing("subject_token_type"))?;
    let token = given("subject_token").ok_or_else(|| errors::missing("subject_token"))?;
    let options = given("options").map(unescape).unwrap_or_default();
    match kind {
        ACCESS_TOKEN => downscope(state, token, &options),
        JWT | ID_TOKEN | AWS => federate(state, call, kind, token).await,
        other => Err(errors::invalid_request(&format!(
            "Invalid value for \"subject_token_type\": {other}. This emulator takes \
             {ACCESS_TOKEN}, {JWT}, {ID_TOKEN} and {AWS}."
        ))),
    }
}

/// `options` arrive as JSON, or percent-encoded once more, as google-auth for Python sends them.
fn unescape(options: &str) -> String {
    if options.trim_start().starts_with('{') {
        return options.into();
    }
    let query = gce_auth_server::protocol::query::Query::parse(&format!(
        "options={}",
        options.replace('&', "%26")
    ));
    query.get("options").unwrap_or_default().into()
}

/// A token with a Credential Access Boundary for a token without one.
fn downscope(state: &State, token: &str, options: &str) -> Result<Reply, Reply> {
    let now = state.clock.now();
    let mut issuer = state.issuer();
    let Some(source) = issuer.tokens.known(token, now).cloned() else {
        return Err(errors::invalid_grant(
            "The provided access token is invalid or has expired.",
        ));
    };
    if source.grant.boundary.is_some() {
        return Err(errors::invalid_request(
            "The subject token has an access boundary already.",
        ));
    }
    let boundary = Boundary::parse(options).map_err(|why| errors::invalid_request(&why))?;
    let grant = Grant {
        boundary: Some(Arc::new(boundary)),
        ..source.grant.clone()
    };
    let left = now.until(source.expires);
    let lifetime = issuer.lifetime().min(left);
    let issued = issuer
        .tokens
        .issue(grant, lifetime, now)
        .ok_or_else(errors::no_randomness)?;
    drop(issuer);
    let mut body = answer_of(&issued);
    // A user's token has the end of the token that it came from, which Google does not repeat.
    if matches!(
        source.grant.principal,
        crate::policy::principal::Principal::User { .. }
    ) && let Some(body) = body.as_object_mut()
    {
        body.remove("expires_in");
    }
    Ok(Reply::cloud(200, &body))
}

/// A federated token for a credential of a pool's issuer.
async fn federate(
    state: &State,
    call: &CloudCall,
    kind: &str,
    token: &str,
) -> Result<Reply, Reply> {
    let settings = state.cloud.settings();
    let provider = call
        .parameters
        .get("audience")
        .and_then(|audience| audience.strip_prefix(RESOURCE))
        .filter(|name| Settings::is_provider_name(name))
        .ok_or_else(|| {
            errors::invalid_request(
                "Invalid value for \"audience\". This value should be the full resource name of \
                 the Identity Provider. See \
                 https://cloud.google.com/iam/docs/reference/sts/rest/v1/TopLevel/token for the \
                  list of possible formats.",
            )
        })?;
    let provider = settings.provider(provider, oauth::ISSUER).ok_or_else(|| {
        errors::oauth(
            400,
            "invalid_target",
            "The target service indicated by the \"audience\" parameters is invalid. This might \
             either be because the pool or \
             provider is disabled or deleted or because it doesn't exist.",
        )
    })?;
    let mut scopes = call.parameters.list("scope");
    if scopes.is_empty() {
        if settings.is_strict() {
            return Err(errors::missing("scope"));
        }
        scopes.push(CLOUD_PLATFORM.into());
    }
    oauth::check_scopes(&settings, &scopes)?;
    if (kind == AWS) != provider.aws().is_some() {
        return Err(errors::invalid_request(&format!(
            "Invalid value for \"subject_token_type\": the provider takes no {kind}."
        )));
    }
    let subject = match provider.aws() {
        Some(_) => subject::of_aws(&provider, token, state.clock.now())?,
        None => {
            let key = state.key().await.ok_or_else(errors::unsigned)?;
            // What accounts sign is not Google's, but may be another issuer's.
            let of_others = provider.issuer() != oauth::ISSUER;
            let own = |message: &[u8], signature: &[u8]| {
                key.verify(message, signature)
                    || (of_others && state.account_keys.verify(message, signature))
            };
            subject::verify(&provider, own, token, state.clock.now())?
        }
    };
    let now = state.clock.now();
    let left = u64::try_from(subject.expires.saturating_sub(now.seconds())).unwrap_or(0);
    // An issuer's clock may be behind: then the token lives for the minute that is granted to
    // clocks.
    let lifetime = if left == 0 {
        Duration::from_secs(59)
    } else {
        Duration::from_secs(left)
    };
    let mut grant = Grant::new(
        crate::policy::principal::Principal::Federated(subject.identity),
        scopes,
    );
    grant.client = call.client().map(|(id, _)| id.into_owned());
    let mut issuer = state.issuer();
    let lifetime = lifetime.min(issuer.lifetime()).min(HOUR);
    let issued = issuer
        .tokens
        .issue(grant, lifetime, now)
        .ok_or_else(errors::no_randomness)?;
    drop(issuer);
    Ok(Reply::cloud(200, &answer_of(&issued)))
}

fn answer_of(issued: &Issued) -> Value {
    json!({
        "access_token": issued.token,
        "issued_token_type": ACCESS_TOKEN,
        "token_type": "Bearer",
        "expires_in": issued.issued.until(issued.expires).as_secs(),
    })
}

/// The refresh grant of external users: the client shows itself in the `Authorization` header.
async fn oauth_token(state: &State, call: &CloudCall) -> Result<Reply, Reply> {
    match call.parameters.get("grant_type") {
        Some("refresh_token") => oauth::refresh(state, call).await,
        None => Err(errors::missing("grant_type")),
        Some(other) => Err(errors::oauth(
            400,
            "unsupported_grant_type",
            &format!("Unsupported grant_type: {other}"),
        )),
    }
}

/// What an access token is worth (RFC 7662). Numbers are texts, as in all JSON of Google's 64-bit
/// numbers.
fn introspect(state: &State, call: &CloudCall) -> Result<Reply, Reply> {
    let token = call
        .parameters
        .get("token")
        .ok_or_else(|| errors::missing("token"))?;
    match call.parameters.get("token_type_hint") {
        None | Some(ACCESS_TOKEN) => {}
        Some(_) => {
            return Err(errors::oauth(
                400,
                "unsupported_token_type",
                "Only access tokens can be introspected.",
            ));
        }
    }
    let settings = state.cloud.settings();
    match call.client() {
        Some((id, secret)) => {
            let client = settings
                .users()
                .into_iter()
                .find(|user| user.client_id == id);
            match client {
                Some(user) if user.client_secret == secret => {}
                None if !settings.is_strict() => {}
                _ => {
                    return Err(errors::invalid_client(
                        "The OAuth client was not found or its secret is wrong.",
                    ));
                }
            }
        }
        None if settings.is_strict() => {
            return Err(errors::invalid_client("Client authentication is required."));
        }
        None => {}
    }
    let now = state.clock.now();
    let issuer = state.issuer();
    let Some(issued) = issuer.tokens.known(token, now) else {
        return Ok(Reply::cloud(200, &json!({"active": false})));
    };
    let mut body = json!({
        "active": true,
        "username": issued.grant.principal.name(),
        "sub": issued.grant.principal.subject(),
        "scope": issued.grant.scopes.join(" "),
        "iss": oauth::ISSUER,
        "iat": issued.issued.seconds().to_string(),
        "exp": issued.expires.seconds().to_string(),
    });
    if let Some(client) = &issued.grant.client {
        body["client_id"] = client.as_str().into();
    }
    Ok(Reply::cloud(200, &body))
}

/// Revokes a token (RFC 7009): 200 whether it was known or not.
fn revoke(state: &State, call: &CloudCall) -> Result<Reply, Reply> {
    let token = call
        .parameters
        .get("token")
        .ok_or_else(|| errors::missing("token"))?;
    oauth::revoke_token(state, token);
    Ok(Reply::cloud(200, &json!({})))
}

#[cfg(test)]
mod tests {
    use super::unescape;

    #[test]
    fn options_are_json_or_escaped_json() {
        let json = r#"{"a": "b&c%20"}"#;
        assert_eq!(unescape(json), json);
        assert_eq!(
            unescape("%7B%22a%22%3A%20%22b%26c%22%7D"),
            r#"{"a": "b&c"}"#
        );
        assert_eq!(unescape("%7B%22a%22%3A+%22b&c%22%7D"), r#"{"a": "b&c"}"#);
        assert_eq!(unescape(""), "");
    }
}
