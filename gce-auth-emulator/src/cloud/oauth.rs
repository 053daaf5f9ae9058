//! Google's OAuth endpoints: assertions and refresh tokens for tokens, and revocation.

use gce_auth_server::protocol::{Method, Reply, pages};
use serde_json::{Value, json};

use crate::{
    clock::Instant,
    cloud::{assertion, call::CloudCall, errors, lookup, subject::seconds},
    identity::{jwt, keys::SigningKey},
    policy::{
        principal::{Principal, unique_id},
        settings::Settings,
        tokens::Grant,
        users::User,
    },
    state::State,
};

/// The issuer of the ID tokens of accounts and users.
pub(crate) const ISSUER: &str = "https://accounts.google.com";
pub(crate) const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

/// How long an assertion and an ID token are good for, in seconds.
const HOUR: i64 = 3600;
/// By how much the clock of an assertion's issuer may be ahead, in seconds.
const SKEW: i64 = 300;

/// The audiences of assertions that Google takes.
const TOKEN_ENDPOINTS: [&str; 4] = [
    "https://oauth2.googleapis.com/token",
    "https://www.googleapis.com/oauth2/v4/token",
    "https://accounts.google.com/o/oauth2/token",
    "https://oauth2.mtls.googleapis.com/token",
];

/// `POST /token`.
pub(crate) async fn token(state: &State, call: &CloudCall) -> Reply {
    if call.method != Method::Post {
        return pages::method_not_allowed(call.method.as_str(), &call.path, "POST");
    }
    let answer = match call.parameters.get("grant_type") {
        Some(JWT_BEARER) => jwt_bearer(state, call).await,
        Some("refresh_token") => refresh(state, call).await,
        None => Err(errors::invalid_request(
            "Required parameter is missing: grant_type",
        )),
        Some(other) => Err(errors::oauth(
            400,
            "unsupported_grant_type",
            &format!("Invalid grant_type: {other}"),
        )),
    };
    answer.unwrap_or_else(|refusal| refusal)
}

/// The jwt-bearer grant: an assertion that an account signed, for an access token or an ID token.
async fn jwt_bearer(state: &State, call: &CloudCall) -> Result<Reply, Reply> {
    let presented = call
        .parameters
        .get("assertion")
        .ok_or_else(|| errors::missing("assertion"))?;
    let claims = assertion::verified(state, presented)
        .await
        .ok_or_else(|| errors::invalid_grant("Invalid JWT Signature."))?;
    let settings = state.cloud.settings();
    let now = state.clock.now();
    check_assertion(&settings, &claims, &call.origin, now).map_err(errors::invalid_grant)?;
    let issuer = claims["iss"].as_str().unwrap_or_default();
    let account = lookup::account(state, issuer)
        .ok_or_else(|| errors::invalid_grant("Invalid grant: account not found"))?;
    if let Some(audience) = claims["target_audience"].as_str() {
        let key = state.key().await.ok_or_else(errors::unsigned)?;
        return id_token(&key, &claims, &account, audience, now);
    }
    let scopes: Vec<String> = claims["scope"]
        .as_str()
        .unwrap_or_default()
        .split_whitespace()
        .map(Into::into)
        .collect();
    if scopes.is_empty() {
        return Err(errors::oauth(
            400,
            "invalid_scope",
            "Empty or missing scope not allowed.",
        ));
    }
    check_scopes(&settings, &scopes)?;
    // With domain-wide delegation an account acts as a user.
    let principal = match claims["sub"].as_str().filter(|subject| *subject != account) {
        Some(user) if user.contains('@') => Principal::user(user),
        Some(_) => return Err(errors::invalid_grant("Invalid email or User ID")),
        None => Principal::service_account(account),
    };
    let mut issuer = state.issuer();
    let lifetime = issuer.lifetime();
    let issued = issuer
        .tokens
        .issue(Grant::new(principal, scopes), lifetime, now)
        .ok_or_else(errors::no_randomness)?;
    Ok(Reply::cloud(
        200,
        &json!({
            "access_token": issued.token,
            "expires_in": now.until(issued.expires).as_secs(),
            "token_type": "Bearer",
        }),
    ))
}

/// Whether the assertion is for a token endpoint, and of these minutes.
fn check_assertion(
    settings: &Settings,
    claims: &Value,
    origin: &str,
    now: Instant,
) -> Result<(), &'static str> {
    let audience = claims["aud"].as_str().unwrap_or_default();
    let known = TOKEN_ENDPOINTS.contains(&audience)
        || audience.strip_prefix(origin) == Some("/token")
        || (!settings.is_strict() && audience.ends_with("/token"));
    if !known {
        return Err("Invalid JWT: Failed audience check.");
    }
    if seconds(&claims["iat"]).is_none() || seconds(&claims["exp"]).is_none() {
        return Err("Invalid JWT: iat and exp are required.");
    }
    if !is_timely(claims, now, HOUR) {
        return Err(
            "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable \
             timeframe. Check your iat and exp \
             values in the JWT claim.",
        );
    }
    Ok(())
}

/// Whether what an account signed is good now, and for so many seconds at most.
pub(crate) fn is_timely(claims: &Value, now: Instant, longest: i64) -> bool {
    let (Some(issued), Some(expires)) = (seconds(&claims["iat"]), seconds(&claims["exp"])) else {
        return false;
    };
    let now = now.seconds();
    issued <= now.saturating_add(SKEW) && expires > now && expires.saturating_sub(issued) <= longest
}

/// Whether scopes look like Google's; unless strict, any text does.
pub(crate) fn check_scopes(settings: &Settings, scopes: &[String]) -> Result<(), Reply> {
    let bad: Vec<&str> = scopes
        .iter()
        .map(String::as_str)
        .filter(|scope| settings.is_strict() && !is_scope(scope))
        .collect();
    if bad.is_empty() {
        return Ok(());
    }
    let bad = bad.join(", ");
    Err(errors::oauth(
        400,
        "invalid_scope",
        &format!("Some requested scopes were invalid. {{invalid=[{bad}]}}"),
    ))
}

pub(crate) fn is_scope(scope: &str) -> bool {
    matches!(scope, "openid" | "email" | "profile")
        || scope
            .strip_prefix("https://")
            .is_some_and(|rest| rest.contains('/') || rest.contains('.'))
}

fn id_token(
    key: &SigningKey,
    assertion: &Value,
    account: &str,
    audience: &str,
    now: Instant,
) -> Result<Reply, Reply> {
    if audience.is_empty() {
        return Err(errors::invalid_request("target_audience must not be empty"));
    }
    let mut claims = assertion.clone();
    if let Some(claims) = claims.as_object_mut() {
        for name in ["target_audience", "scope"] {
            claims.remove(name);
        }
    }
    claims["azp"] = account.into();
    stamp(&mut claims, account, audience, now);
    let token = jwt::sign(key, &claims).ok_or_else(errors::unsigned)?;
    Ok(Reply::cloud(200, &json!({"id_token": token})))
}

/// The claims of every ID token of an account or a user.
fn stamp(claims: &mut Value, email: &str, audience: &str, now: Instant) {
    claims["aud"] = audience.into();
    claims["email"] = email.into();
    claims["email_verified"] = true.into();
    claims["exp"] = now.seconds().saturating_add(HOUR).into();
    claims["iat"] = now.seconds().into();
    claims["iss"] = ISSUER.into();
    claims["sub"] = unique_id(email).into();
}

/// The refresh grant: a user's refresh token and the client that it was issued to.
pub(crate) async fn refresh(state: &State, call: &CloudCall) -> Result<Reply, Reply> {
    let refresh_token = call
        .parameters
        .get("refresh_token")
        .ok_or_else(|| errors::missing("refresh_token"))?;
    let (id, secret) = call
        .client()
        .ok_or_else(|| errors::invalid_request("Could not determine client ID from request."))?;
    let settings = state.cloud.settings();
    let user = settings.user(refresh_token);
    let known = settings
        .users()
        .into_iter()
        .find(|user| user.client_id == id);
    match (&user, known) {
        (None, None) if settings.is_strict() => {
            return Err(errors::invalid_client("The OAuth client was not found."));
        }
        (Some(_), None) => return Err(errors::invalid_client("The OAuth client was not found.")),
        (_, Some(client)) if client.client_secret != secret => {
            return Err(errors::invalid_client(
                "The provided client secret is invalid.",
            ));
        }
        _ => {}
    }
    let Some(user) = user else {
        return Err(errors::invalid_grant("Bad Request"));
    };
    if user.client_id != id {
        return Err(errors::oauth(401, "unauthorized_client", "Unauthorized"));
    }
    if state.cloud.is_revoked(refresh_token) {
        return Err(errors::invalid_grant("Token has been expired or revoked."));
    }
    match (&user.rapt, call.parameters.get("rapt")) {
        (None, _) => {}
        (Some(_), None) => return Err(errors::reauthentication("rapt_required")),
        (Some(proof), Some(given)) if proof == given => {}
        (Some(_), Some(_)) => return Err(errors::reauthentication("invalid_rapt")),
    }
    let scopes = consented(&user, call.parameters.list("scope"))?;
    let now = state.clock.now();
    let mut body = json!({"token_type": "Bearer", "scope": scopes.join(" ")});
    if scopes.iter().any(|scope| scope == "openid") {
        let key = state.key().await.ok_or_else(errors::unsigned)?;
        let mut claims = json!({"azp": user.client_id});
        stamp(&mut claims, &user.email, &user.client_id, now);
        body["id_token"] = jwt::sign(&key, &claims)
            .ok_or_else(errors::unsigned)?
            .into();
    }
    let mut grant = Grant::new(Principal::user(&user.email), scopes);
    grant.client = Some(user.client_id);
    grant.refresh_token = Some(user.refresh_token);
    let mut issuer = state.issuer();
    let lifetime = issuer.lifetime();
    let issued = issuer
        .tokens
        .issue(grant, lifetime, now)
        .ok_or_else(errors::no_randomness)?;
    body["access_token"] = issued.token.as_str().into();
    body["expires_in"] = now.until(issued.expires).as_secs().into();
    Ok(Reply::cloud(200, &body))
}

/// The scopes asked for, which the user must have consented to; all of these if none is asked for.
fn consented(user: &User, asked: Vec<String>) -> Result<Vec<String>, Reply> {
    let (valid, invalid): (Vec<String>, Vec<String>) = asked
        .into_iter()
        .partition(|scope| user.scopes.contains(scope));
    match (valid.is_empty(), invalid.is_empty()) {
        (true, true) => Ok(user.scopes.clone()),
        (false, true) => Ok(valid),
        _ => Err(errors::oauth(
            400,
            "invalid_scope",
            &format!(
                "Some requested scopes were invalid. {{valid=[{}], invalid=[{}]}}",
                valid.join(", "),
                invalid.join(", ")
            ),
        )),
    }
}

/// `POST /revoke`: an access token with the refresh token that it came from, or a refresh token
/// with all that came from it.
pub(crate) fn revoke(state: &State, call: &CloudCall) -> Reply {
    if !matches!(call.method, Method::Post | Method::Get) {
        return pages::method_not_allowed(call.method.as_str(), &call.path, "GET, POST");
    }
    match call.parameters.get("token") {
        None => errors::missing("token"),
        Some(token) if revoke_token(state, token) => Reply::cloud(200, &json!({})),
        Some(_) => errors::oauth(400, "invalid_token", "Token expired or revoked"),
    }
}

/// Revokes a token. False if it is not known.
pub(crate) fn revoke_token(state: &State, token: &str) -> bool {
    let now = state.clock.now();
    let mut issuer = state.issuer();
    let refresh_token = match issuer.tokens.revoke(token) {
        Some(issued) => {
            issuer.forget(token);
            let alive = issued.expires > now;
            if let Some(refresh_token) = issued.grant.refresh_token.as_deref().filter(|_| alive) {
                refresh_token.to_owned()
            } else {
                return alive;
            }
        }
        None if state.cloud.settings().user(token).is_some() && !state.cloud.is_revoked(token) => {
            token.to_owned()
        }
        None => return false,
    };
    issuer.tokens.revoke_all_from(&refresh_token);
    drop(issuer);
    state.cloud.revoke(refresh_token);
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_assertion_is_good_for_its_hour_and_ahead_by_five_minutes_at_most() {
        let now = Instant::from_seconds(10_000);
        for (issued, expires, longest, good) in [
            (10_000, 13_600, HOUR, true),
            (9_999, 13_600, HOUR, false),
            (10_300, 10_400, HOUR, true),
            (10_301, 10_400, HOUR, false),
            (6_401, 10_001, HOUR, true),
            (6_400, 10_000, HOUR, false),
            (0, 10_001, HOUR, false),
            (0, 10_001, 10_001, true),
            (i64::MIN, i64::MAX, HOUR, false),
        ] {
            let claims = json!({"iat": issued, "exp": expires});
            let found = is_timely(&claims, now, longest);
            assert_eq!(found, good, "{claims} for {longest} s");
        }
        for claims in [json!({"iat": 10_000}), json!({"exp": 10_001}), json!({})] {
            assert!(!is_timely(&claims, now, HOUR), "{claims}");
        }
    }

    #[test]
    fn a_scope_is_a_name_of_openid_or_an_address() {
        for scope in [
            "openid",
            "email",
            "profile",
            "https://mail.google.com",
            "https://localhost/x",
        ] {
            assert!(is_scope(scope), "{scope}");
        }
        for other in [
            "",
            "phone",
            "https://",
            "https://x",
            "http://mail.google.com/",
        ] {
            assert!(!is_scope(other), "{other}");
        }
    }
}
