//! The IAM Service Account Credentials API: signing and minting in the name of an account.

use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use crate::cloud::call::CloudCall;
use crate::identity::accounts::{CLOUD_PLATFORM, Identity};
use crate::identity::claims::{Detail, claims};
use crate::identity::jwt;
use crate::identity::keys::SigningKey;
use crate::state::State;
use gce_auth_server::protocol::{Method, Reply};

const IAM: &str = "https://www.googleapis.com/auth/iam";
const MAX_LIFETIME: Duration = Duration::from_secs(12 * 3600);

/// An error in the shape of Google's APIs.
pub(crate) fn error(code: u16, status: &str, message: &str) -> Reply {
    Reply::cloud(
        code,
        &json!({"error": {"code": code, "message": message, "status": status}}),
    )
}

fn invalid(message: &str) -> Reply {
    error(400, "INVALID_ARGUMENT", message)
}

fn failed() -> Reply {
    error(500, "INTERNAL", "Internal error encountered.")
}

/// Answers `ACCOUNT:METHOD`.
pub(crate) fn answer(
    state: &State,
    key: Option<&SigningKey>,
    account: &str,
    method: &str,
    call: &CloudCall,
) -> Reply {
    let wanted = match method {
        "allowedLocations" => Method::Get,
        "signBlob" | "signJwt" | "generateAccessToken" | "generateIdToken" => Method::Post,
        _ => return error(404, "NOT_FOUND", "Method not found."),
    };
    if call.method != wanted {
        return error(404, "NOT_FOUND", "Method not found.");
    }
    if let Err(reply) = authorize(state, call) {
        return reply;
    }
    let Some(account) = state
        .document
        .read(|document| Identity::find_by_email(document, account))
    else {
        return error(
            404,
            "NOT_FOUND",
            &format!("Not found; Gaia id not found for email {account}"),
        );
    };
    if method == "allowedLocations" {
        return allowed_locations();
    }
    let body: Value = if call.body.is_empty() {
        json!({})
    } else {
        match serde_json::from_slice(&call.body) {
            Ok(body @ Value::Object(_)) => body,
            _ => return invalid("Invalid JSON payload received."),
        }
    };
    if let Err(reply) = check_delegates(state, &body) {
        return reply;
    }
    let Some(key) = key else {
        return failed();
    };
    let answer = match method {
        "signBlob" => sign_blob(key, &body),
        "signJwt" => sign_jwt(key, &body),
        "generateAccessToken" => generate_access_token(state, account, &body),
        _ => generate_id_token(state, key, &account, &body),
    };
    answer.map_or_else(|reply| reply, |body| Reply::cloud(200, &body))
}

/// Lets in whoever shows a token that this emulator issued, has not expired, and has a scope that covers IAM.
fn authorize(state: &State, call: &CloudCall) -> Result<(), Reply> {
    let Some(token) = call.bearer() else {
        return Err(error(
            401,
            "UNAUTHENTICATED",
            "Request is missing required authentication credential. Expected OAuth 2 access token, login cookie or other valid authentication credential.",
        ));
    };
    let scopes = state
        .issuer()
        .known(token, state.clock.now())
        .map(|issued| issued.account.scopes.clone());
    match scopes {
        None => Err(error(
            401,
            "UNAUTHENTICATED",
            "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid authentication credential.",
        )),
        Some(scopes)
            if scopes
                .iter()
                .any(|scope| scope == IAM || scope == CLOUD_PLATFORM) =>
        {
            Ok(())
        }
        Some(_) => Err(error(
            403,
            "PERMISSION_DENIED",
            "Request had insufficient authentication scopes.",
        )),
    }
}

/// Delegates are accounts of this machine, named as resources. What each may do to the next is not asked.
fn check_delegates(state: &State, body: &Value) -> Result<(), Reply> {
    let delegates = match &body["delegates"] {
        Value::Null => return Ok(()),
        Value::Array(delegates) => delegates,
        _ => return Err(invalid("Invalid value at 'delegates'.")),
    };
    for delegate in delegates {
        let name = delegate
            .as_str()
            .and_then(|name| name.strip_prefix("projects/-/serviceAccounts/"))
            .ok_or_else(|| {
                invalid("Delegates must have the form projects/-/serviceAccounts/{ACCOUNT_EMAIL_OR_UNIQUEID}.")
            })?;
        let known = state
            .document
            .read(|document| Identity::find_by_email(document, name).is_some());
        if !known {
            let message = format!("Not found; Gaia id not found for email {name}");
            return Err(error(404, "NOT_FOUND", &message));
        }
    }
    Ok(())
}

fn allowed_locations() -> Reply {
    Reply::cloud(
        200,
        &json!({
            "locations": ["us-central1", "us-east1", "europe-west1"],
            "encodedLocations": "0xA30",
        }),
    )
}

fn sign_blob(key: &SigningKey, body: &Value) -> Result<Value, Reply> {
    let payload = body["payload"]
        .as_str()
        .ok_or_else(|| invalid("The payload is required."))?;
    let payload = BASE64_STANDARD
        .decode(payload)
        .map_err(|_| invalid("Invalid value at 'payload' (TYPE_BYTES), Base64 decoding failed."))?;
    let signature = key.sign(&payload).ok_or_else(failed)?;
    Ok(json!({
        "keyId": key.id(),
        "signedBlob": BASE64_STANDARD.encode(signature),
    }))
}

fn sign_jwt(key: &SigningKey, body: &Value) -> Result<Value, Reply> {
    let payload = body["payload"]
        .as_str()
        .ok_or_else(|| invalid("The payload is required."))?;
    if !matches!(serde_json::from_str(payload), Ok(Value::Object(_))) {
        return Err(invalid("The payload must be a JSON object of claims."));
    }
    let token = jwt::sign_text(key, payload).ok_or_else(failed)?;
    Ok(json!({"keyId": key.id(), "signedJwt": token}))
}

fn generate_access_token(state: &State, account: Identity, body: &Value) -> Result<Value, Reply> {
    let scopes: Vec<String> = body["scope"]
        .as_array()
        .map(|scopes| {
            scopes
                .iter()
                .filter_map(Value::as_str)
                .map(Into::into)
                .collect()
        })
        .unwrap_or_default();
    if scopes.is_empty() {
        return Err(invalid("The scope is required."));
    }
    let lifetime = match &body["lifetime"] {
        Value::Null => Duration::from_secs(3600),
        Value::String(text) => text
            .strip_suffix('s')
            .and_then(|seconds| seconds.parse::<f64>().ok())
            .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
            .filter(|lifetime| !lifetime.is_zero() && *lifetime <= MAX_LIFETIME)
            .ok_or_else(|| invalid("The lifetime must be between 1s and 43200s."))?,
        _ => return Err(invalid("The lifetime must be a duration such as 3600s.")),
    };
    let holder = Identity { scopes, ..account };
    let issued = state
        .issuer()
        .issue(&holder, lifetime, state.clock.now())
        .ok_or_else(failed)?;
    Ok(json!({
        "accessToken": issued.token,
        "expireTime": issued.expires.rfc3339(),
    }))
}

fn generate_id_token(
    state: &State,
    key: &SigningKey,
    account: &Identity,
    body: &Value,
) -> Result<Value, Reply> {
    let audience = body["audience"]
        .as_str()
        .filter(|audience| !audience.is_empty())
        .ok_or_else(|| invalid("The audience is required."))?;
    let flag = |name: &str| body[name] == true || body[name] == "true";
    let detail = Detail {
        email: flag("includeEmail"),
        machine: false,
        licenses: false,
    };
    let now = state.clock.now();
    let mut claims = state
        .document
        .read(|document| claims(document, account, audience, detail, now));
    if flag("useEmailAzp") {
        claims["azp"] = account.email.as_str().into();
    }
    let token = jwt::sign(key, &claims).ok_or_else(failed)?;
    Ok(json!({"token": token}))
}
