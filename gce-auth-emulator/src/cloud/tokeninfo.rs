//! What a token means. All values are texts, as Google's are.

use gce_auth_server::protocol::{Method, Reply, pages};
use serde_json::{Value, json};

use crate::{
    clock::Instant,
    cloud::{call::CloudCall, errors, subject::seconds},
    identity::jwt,
    policy::tokens::Issued,
    state::State,
};

pub(crate) async fn answer(state: &State, call: &CloudCall) -> Reply {
    if !matches!(call.method, Method::Get | Method::Head | Method::Post) {
        return pages::method_not_allowed(call.method.as_str(), &call.path, "GET, HEAD, POST");
    }
    if let Some(token) = call.parameters.get("id_token") {
        return id_token(state, token).await;
    }
    // In the query, in a form, or as Google's Node client sends it: in the header.
    let token = call
        .parameters
        .get("access_token")
        .or_else(|| call.bearer());
    let now = state.clock.now();
    let issuer = state.issuer();
    let Some(issued) = token.and_then(|token| issuer.tokens.known(token, now)) else {
        return errors::oauth(400, "invalid_token", "Invalid Value");
    };
    // Google's endpoint does not know federated tokens.
    if state.cloud.settings().is_strict() && issued.grant.principal.email().is_none() {
        return errors::oauth(400, "invalid_token", "Invalid Value");
    }
    if let Some(refusal) = boundary_refusal(issued, call) {
        return refusal;
    }
    access_token(issued, now)
}

/// With `resource` and `permission`, which are the emulator's own: whether the token's boundary
/// leaves the permission.
fn boundary_refusal(issued: &Issued, call: &CloudCall) -> Option<Reply> {
    let resource = call.parameters.get("resource")?;
    let permission = call.parameters.get("permission").unwrap_or_default();
    let prefix = call.parameters.get("list_prefix");
    let boundary = issued.grant.boundary.as_ref()?;
    (!boundary.allows(resource, permission, prefix)).then(|| errors::permission_denied(permission))
}

fn access_token(issued: &Issued, now: Instant) -> Reply {
    let grant = &issued.grant;
    let id = grant.principal.subject();
    let client = grant.client.as_ref().unwrap_or(&id);
    let mut body = json!({
        "azp": client,
        "aud": client,
        "sub": id,
        "scope": grant.scopes.join(" "),
        "exp": issued.expires.seconds().to_string(),
        "expires_in": now.until(issued.expires).as_secs().to_string(),
        "access_type": if grant.refresh_token.is_some() { "offline" } else { "online" },
    });
    match grant.principal.email() {
        Some(email) => {
            body["email"] = email.into();
            body["email_verified"] = "true".into();
        }
        None => body["principal"] = grant.principal.member().into(),
    }
    if let Some(boundary) = &grant.boundary {
        body["access_boundary"] = boundary.show();
    }
    Reply::cloud(200, &body)
}

async fn id_token(state: &State, token: &str) -> Reply {
    let Some(key) = state.key().await else {
        return errors::unsigned();
    };
    let now = state.clock.now().seconds();
    let current = jwt::verify(&key, token)
        .filter(|(_, claims)| seconds(&claims["exp"]).is_some_and(|exp| exp > now));
    let Some((header, Value::Object(mut claims))) = current else {
        return errors::oauth(400, "invalid_token", "Invalid Value");
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
