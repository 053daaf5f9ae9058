//! The keys that tokens are verified with, and the documents that lead to them.

use gce_auth_server::protocol::{Dialect, Method, Reply, pages};
use serde_json::{Value, json};

use crate::{
    cloud::{
        call::CloudCall,
        endpoint::Endpoint,
        errors, lookup,
        oauth::{ISSUER, JWT_BEARER},
    },
    identity::{agents, keys::SigningKey},
    state::State,
};

/// How long keys may be cached, in seconds.
const MAX_AGE: u32 = 3600;

pub(crate) async fn answer(state: &State, call: &CloudCall) -> Reply {
    if !matches!(call.method, Method::Get | Method::Head) {
        return pages::method_not_allowed(call.method.as_str(), &call.path, "GET, HEAD");
    }
    let key = match &call.endpoint {
        Endpoint::Discovery => return cacheable(&discovery(&call.origin)),
        Endpoint::Agents {
            issuer,
            jwks: false,
        } => return cacheable(&agents(issuer, &call.origin)),
        Endpoint::AccountKeys { account, .. } => match lookup::account(state, account) {
            Some(email) => state.key_of(&email).await,
            None => return errors::not_found("Requested entity was not found."),
        },
        _ => state.key().await,
    };
    key.map_or_else(errors::internal, |key| {
        cacheable(&keys(&key, &call.endpoint))
    })
}

fn keys(key: &SigningKey, endpoint: &Endpoint) -> Value {
    match endpoint {
        Endpoint::Certificates | Endpoint::AccountKeys { jwk: false, .. } => key.certificates(),
        _ => key.jwks(),
    }
}

fn cacheable(body: &Value) -> Reply {
    let mut reply = Reply::cloud(200, body);
    reply.dialect = Dialect::Cloud {
        max_age: Some(MAX_AGE),
    };
    reply
}

/// The OpenID configuration, with the addresses of this origin.
fn discovery(origin: &str) -> Value {
    json!({
        "issuer": ISSUER,
        "token_endpoint": format!("{origin}/token"),
        "revocation_endpoint": format!("{origin}/revoke"),
        "jwks_uri": format!("{origin}/oauth2/v3/certs"),
        "response_types_supported": ["id_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "claims_supported": ["aud", "email", "email_verified", "exp", "iat", "iss", "sub"],
        "grant_types_supported": [JWT_BEARER, "refresh_token"],
    })
}

/// The OpenID configuration of a pool that issues tokens for agents.
fn agents(issuer: &str, origin: &str) -> Value {
    json!({
        "issuer": agents::issuer_url(issuer),
        "jwks_uri": format!("{origin}/v1/{issuer}/openid/jwks"),
        "response_types_supported": ["id_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "claims_supported": ["aud", "cnf", "exp", "iat", "iss", "sub"],
    })
}
