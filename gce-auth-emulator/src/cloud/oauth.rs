//! Google's OAuth endpoints: assertions for tokens, what a token means, and the keys to verify with.

use serde_json::{Value, json};

use crate::clock::Instant;
use crate::cloud::call::{CloudCall, Endpoint};
use crate::cloud::iam;
use crate::identity::accounts::Identity;
use crate::identity::jwt;
use crate::identity::keys::SigningKey;
use crate::state::State;
use gce_auth_server::protocol::{Dialect, Method, Reply, pages};

const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
/// How long an assertion, an ID token and an access token made from one are good for, in seconds.
const HOUR: i64 = 3600;
/// By how much the clock of whoever wrote an assertion may be ahead, in seconds.
const SKEW: i64 = 300;

pub(crate) fn answer(state: &State, key: Option<&SigningKey>, call: &CloudCall) -> Reply {
    let reading = matches!(call.method, Method::Get | Method::Head);
    let Some(key) = key else {
        return refused(
            500,
            "internal_failure",
            "The signing key could not be made.",
        );
    };
    match &call.endpoint {
        Endpoint::Token if call.method == Method::Post => token(state, key, call),
        Endpoint::TokenInfo if reading || call.method == Method::Post => {
            token_info(state, key, call)
        }
        Endpoint::Jwks if reading => cacheable(&key.jwks()),
        Endpoint::Certificates if reading => cacheable(&key.certificates()),
        Endpoint::AccountKeys { account, jwk } if reading => {
            let known = state
                .document
                .read(|document| Identity::find_by_email(document, account).is_some());
            match (known, jwk) {
                (false, _) => iam::error(404, "NOT_FOUND", "Requested entity was not found."),
                (true, true) => cacheable(&key.jwks()),
                (true, false) => cacheable(&key.certificates()),
            }
        }
        Endpoint::Discovery if reading => cacheable(&discovery(&call.origin)),
        Endpoint::Iam { .. } => pages::not_found(&call.path),
        Endpoint::Token => pages::method_not_allowed(call.method.as_str(), &call.path, "POST"),
        _ => pages::method_not_allowed(call.method.as_str(), &call.path, "GET, HEAD"),
    }
}

fn cacheable(body: &Value) -> Reply {
    let mut reply = Reply::cloud(200, body);
    reply.dialect = Dialect::Cloud {
        max_age: Some(3600),
    };
    reply
}

fn refused(code: u16, error: &str, description: &str) -> Reply {
    Reply::cloud(
        code,
        &json!({"error": error, "error_description": description}),
    )
}

fn grant_refused(description: &str) -> Reply {
    refused(400, "invalid_grant", description)
}

/// The jwt-bearer grant: an assertion that an account signed, for an access token or an ID token.
fn token(state: &State, key: &SigningKey, call: &CloudCall) -> Reply {
    match call.parameters.get("grant_type") {
        Some(JWT_BEARER) => {}
        Some("refresh_token") => return refresh(call),
        None => {
            return refused(
                400,
                "invalid_request",
                "Required parameter is missing: grant_type",
            );
        }
        Some(other) => {
            return refused(
                400,
                "unsupported_grant_type",
                &format!("Invalid grant_type: {other}"),
            );
        }
    }
    let Some(assertion) = call.parameters.non_empty("assertion") else {
        return refused(
            400,
            "invalid_request",
            "Missing required parameter: assertion",
        );
    };
    let ours = jwt::verify(key, assertion).map(|(_, claims)| claims);
    let claims = ours.or_else(|| jwt::verify_assertion(state.accounts(), assertion));
    let Some(claims) = claims else {
        return grant_refused("Invalid JWT Signature.");
    };
    let now = state.clock.now();
    if let Err(why) = check_assertion(&claims, now) {
        return grant_refused(why);
    }
    let issuer = claims["iss"].as_str().unwrap_or_default();
    let Some(account) = state
        .document
        .read(|document| Identity::find_by_email(document, issuer))
    else {
        return grant_refused("Invalid grant: account not found");
    };
    if let Some(audience) = claims["target_audience"].as_str() {
        return id_token(key, &claims, &account, audience, now);
    }
    let scopes: Vec<String> = claims["scope"]
        .as_str()
        .unwrap_or_default()
        .split_whitespace()
        .map(Into::into)
        .collect();
    if scopes.is_empty() {
        return refused(400, "invalid_scope", "Empty or missing scope not allowed.");
    }
    let holder = Identity { scopes, ..account };
    let mut issuer = state.issuer();
    let lifetime = issuer.lifetime();
    match issuer.issue(&holder, lifetime, now) {
        Some(issued) => Reply::cloud(
            200,
            &json!({
                "access_token": issued.token,
                "expires_in": now.until(issued.expires).as_secs(),
                "token_type": "Bearer",
            }),
        ),
        None => refused(500, "internal_failure", "No randomness."),
    }
}

/// The grant of a user's refresh token. There are no users here, so no refresh token is good.
fn refresh(call: &CloudCall) -> Reply {
    let given = |name: &str| call.parameters.non_empty(name).is_some();
    if !given("refresh_token") {
        return refused(
            400,
            "invalid_request",
            "Missing required parameter: refresh_token",
        );
    }
    if !given("client_id") {
        return refused(
            400,
            "invalid_request",
            "Could not determine client ID from request.",
        );
    }
    grant_refused("Bad Request")
}

/// Whether the assertion is for a token endpoint, and of these minutes.
fn check_assertion(claims: &Value, now: Instant) -> Result<(), &'static str> {
    let audience = claims["aud"].as_str().unwrap_or_default();
    if !(audience.ends_with("/token")) {
        return Err("Invalid JWT: Failed audience check.");
    }
    let (Some(issued), Some(expires)) = (seconds(&claims["iat"]), seconds(&claims["exp"])) else {
        return Err("Invalid JWT: iat and exp are required.");
    };
    let now = now.seconds();
    if issued > now.saturating_add(SKEW) || expires <= now || expires.saturating_sub(issued) > HOUR
    {
        return Err(
            "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. Check your iat and exp values in the JWT claim.",
        );
    }
    Ok(())
}

fn seconds(value: &Value) -> Option<i64> {
    if let Some(whole) = value.as_i64() {
        return Some(whole);
    }
    // Python's `time.time()` makes fractions.
    value
        .as_f64()
        .filter(|seconds| seconds.abs() < 1e12)
        .and_then(|seconds| format!("{seconds:.0}").parse().ok())
}

fn id_token(
    key: &SigningKey,
    assertion: &Value,
    account: &Identity,
    audience: &str,
    now: Instant,
) -> Reply {
    if audience.is_empty() {
        return refused(400, "invalid_request", "target_audience must not be empty");
    }
    let mut claims = assertion.clone();
    if let Some(claims) = claims.as_object_mut() {
        for name in ["target_audience", "scope"] {
            claims.remove(name);
        }
    }
    claims["aud"] = audience.into();
    claims["azp"] = account.email.as_str().into();
    claims["email"] = account.email.as_str().into();
    claims["email_verified"] = true.into();
    claims["exp"] = now.seconds().saturating_add(HOUR).into();
    claims["iat"] = now.seconds().into();
    claims["iss"] = "https://accounts.google.com".into();
    claims["sub"] = account.unique_id().into();
    match jwt::sign(key, &claims) {
        Some(token) => Reply::cloud(200, &json!({"id_token": token})),
        None => refused(500, "internal_failure", "The token could not be signed."),
    }
}

/// What a token means; all values are strings, as Google's are.
fn token_info(state: &State, key: &SigningKey, call: &CloudCall) -> Reply {
    let now = state.clock.now();
    if let Some(token) = call.parameters.non_empty("id_token") {
        return id_token_info(key, token, now);
    }
    // In the query, in a form, or as Google's Node client sends it: in the header.
    let token = call.parameters.non_empty("access_token");
    let token = token.or_else(|| call.bearer()).unwrap_or_default();
    let issuer = state.issuer();
    let Some(issued) = issuer.known(token, now) else {
        return refused(400, "invalid_token", "Invalid Value");
    };
    let id = issued.account.unique_id();
    Reply::cloud(
        200,
        &json!({
            "azp": id,
            "aud": id,
            "sub": id,
            "scope": issued.account.scopes.join(" "),
            "exp": issued.expires.seconds().to_string(),
            "expires_in": now.until(issued.expires).as_secs().to_string(),
            "email": issued.account.email,
            "email_verified": "true",
            "access_type": "online",
        }),
    )
}

fn id_token_info(key: &SigningKey, token: &str, now: Instant) -> Reply {
    let current = jwt::verify(key, token)
        .filter(|(_, claims)| seconds(&claims["exp"]).is_some_and(|exp| exp > now.seconds()));
    let Some((header, Value::Object(mut claims))) = current else {
        return refused(400, "invalid_token", "Invalid Value");
    };
    for name in ["alg", "kid", "typ"] {
        claims.insert(name.into(), header[name].clone());
    }
    for value in claims.values_mut() {
        if !value.is_string() {
            *value = value.to_string().into();
        }
    }
    Reply::cloud(200, &Value::Object(claims))
}

/// The OpenID configuration, with the addresses of this origin.
fn discovery(origin: &str) -> Value {
    json!({
        "issuer": "https://accounts.google.com",
        "token_endpoint": format!("{origin}/token"),
        "jwks_uri": format!("{origin}/oauth2/v3/certs"),
        "response_types_supported": ["id_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "claims_supported": ["aud", "email", "email_verified", "exp", "iat", "iss", "sub"],
        "grant_types_supported": [JWT_BEARER],
    })
}
