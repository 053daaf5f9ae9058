//! Refusals of Google's APIs: `{"error": {"code", "message", "status"}}`.

use serde_json::Value;

use super::{
    facts::{Facts, listed},
    near::nearest_of,
};
use crate::recorded_request::{Explanation, RecordedRequest};

const IAM_METHODS: [&str; 4] = [
    "generateAccessToken",
    "generateIdToken",
    "signBlob",
    "signJwt",
];

const TOKEN: &str = "/computeMetadata/v1/instance/service-accounts/default/token";

/// A part of the message, the cause, and what would have worked.
type Row = (&'static str, &'static str, &'static str);

const ROWS: [Row; 17] = [
    (
        "Requested entity was not found",
        "the emulator knows no service account of this name, so it has no keys",
        "ask for the keys of an account of the machine, or add it with EmulatorBuilder::service_account",
    ),
    (
        "Invalid JSON payload",
        "the body is no JSON object",
        "send a JSON object, with Content-Type: application/json",
    ),
    (
        "Invalid value at 'delegates'",
        "delegates is no list",
        "send \"delegates\": [\"projects/-/serviceAccounts/EMAIL\"]",
    ),
    (
        "Delegates must have the form",
        "a delegate is not named as a resource, and the emulator is strict",
        "name it projects/-/serviceAccounts/EMAIL",
    ),
    (
        "The payload is required",
        "the body has no payload",
        "send \"payload\": for signBlob in Base64, for signJwt a JSON object of claims as a string",
    ),
    (
        "Base64 decoding failed",
        "the payload is not Base64",
        "encode it with the standard alphabet and padding (RFC 4648, section 4)",
    ),
    (
        "must be a JSON object of claims",
        "the payload of signJwt is no JSON object in a string",
        "send \"payload\": \"{\\\"aud\\\": ...}\"",
    ),
    (
        "The claim exp must be",
        "exp in the payload of signJwt is past, or more than 12 hours ahead",
        "leave exp out, or send seconds since 1970 within the next 12 hours",
    ),
    (
        "Invalid value at 'scope'",
        "scope is no list of URLs",
        "send \"scope\": [\"https://www.googleapis.com/auth/cloud-platform\"]",
    ),
    (
        "The scope is required",
        "the body has no scope",
        "send \"scope\": [\"https://www.googleapis.com/auth/cloud-platform\"]",
    ),
    (
        "Invalid value at 'lifetime'",
        "lifetime is no duration",
        "send seconds with an s, such as \"lifetime\": \"3600s\"",
    ),
    (
        "must be larger then zero",
        "lifetime is zero or less",
        "leave it out for an hour, or send at most \"3600s\"",
    ),
    (
        "lifetimes of more than 12 hours",
        "no token lives longer than 12 hours",
        "send at most \"lifetime\": \"43200s\"",
    ),
    (
        "lifetimes of more than 1 hour",
        "the account's tokens live an hour at most, and the emulator is strict",
        "send at most \"3600s\", or start the emulator with EmulatorBuilder::lifetime_extension",
    ),
    (
        "The audience is required",
        "the body has no audience",
        "send \"audience\": \"https://example.com\"",
    ),
    (
        "is missing required authentication credential",
        "the request has no Authorization: Bearer TOKEN",
        "send the access_token of /computeMetadata/v1/instance/service-accounts/default/token",
    ),
    ("Internal error", "the emulator failed inside", "ask again"),
];

/// The cause of an API's refusal.
pub(super) fn explain(
    request: &RecordedRequest,
    error: &Value,
    facts: &Facts<'_>,
) -> Option<Explanation> {
    let message = error["message"].as_str()?;
    let detail = &error["details"][0];
    if message.contains("invalid authentication credentials") {
        return Some(invalid_token(request));
    }
    if detail["reason"] == "ACCESS_TOKEN_SCOPE_INSUFFICIENT" {
        return Some(Explanation::new(
            "the token has no scope that covers this API",
            format!(
                "use a token with https://www.googleapis.com/auth/cloud-platform or https://www.googleapis.com/auth/iam; the accounts of the machine have their scopes at {}",
                TOKEN.replace("default/token", "EMAIL/scopes")
            ),
        ));
    }
    if let Some(permission) = detail["metadata"]["permission"].as_str() {
        return Some(denied(request, permission, facts));
    }
    if message.contains("Gaia id not found") {
        let email = message.rsplit(' ').next().unwrap_or_default();
        return Some(unknown_account(email, facts));
    }
    if message.contains("Method not found") {
        return Some(no_method(request));
    }
    if message.contains("Project")
        || request.path.starts_with("/v1/projects/") && error["code"] == 403
    {
        return Some(Explanation::new(
            format!("the emulator's machine is not in this project: {message}"),
            format!(
                "ask for {}",
                facts.document["project"]["projectId"]
                    .as_str()
                    .unwrap_or("its own project")
            ),
        ));
    }
    ROWS.iter()
        .find(|(part, _, _)| message.contains(part))
        .map(|(_, why, instead)| Explanation::new(*why, *instead))
        .or_else(|| Some(Explanation::only(message)))
}

fn invalid_token(request: &RecordedRequest) -> Explanation {
    let shown = request.header("authorization").unwrap_or_default();
    let why = if shown.contains("[JWT") {
        "the token is a JWT that is no self-signed one for this API: its signer is unknown, it is out of date, or it is for another audience"
    } else {
        "the token was never issued here, has expired, or was revoked"
    };
    Explanation::new(why, format!("send a fresh access_token of {TOKEN}"))
}

fn denied(request: &RecordedRequest, permission: &str, facts: &Facts<'_>) -> Explanation {
    let target = target(&request.path).unwrap_or("the account");
    let grants = facts.settings.config().impersonation;
    if permission == "iam.serviceAccounts.implicitDelegation" {
        return Explanation::new(
            "a delegate of the chain may not act for the next one",
            "grant it: EmulatorBuilder::impersonation(DELEGATE, NEXT), or \"impersonation\" of PUT /emulator/v1/cloud",
        );
    }
    if grants.is_empty() {
        return Explanation::new(
            format!("a token with an access boundary never has {permission}"),
            "use the token that was not downscoped",
        );
    }
    let members: Vec<&str> = grants
        .iter()
        .filter(|grant| grant.target == "*" || grant.target == target)
        .map(|grant| grant.member.as_str())
        .collect();
    let who = if members.is_empty() {
        "no grant names this account".to_owned()
    } else {
        format!("only {} may", listed(&members))
    };
    Explanation::new(
        format!("the caller does not have {permission} on {target}"),
        format!(
            "grant it with EmulatorBuilder::impersonation(CALLER, \"{target}\"), as roles/iam.serviceAccountTokenCreator would; {who}"
        ),
    )
}

fn unknown_account(email: &str, facts: &Facts<'_>) -> Explanation {
    let emails = facts.emails();
    let near = nearest_of(emails.iter().map(String::as_str), email);
    let instead = match near {
        Some(near) => format!("did you mean {near}?"),
        None => format!(
            "known are {}; others are with --service-account EMAIL or \"accounts\" of PUT /emulator/v1/cloud",
            listed(&emails)
        ),
    };
    Explanation::new(format!("there is no service account {email}"), instead)
}

fn no_method(request: &RecordedRequest) -> Explanation {
    let Some((resource, method)) = request.path.rsplit_once(':') else {
        return Explanation::new(
            "on a host of Google's APIs there is nothing at this path",
            "ask for /v1/projects/-/serviceAccounts/EMAIL:signBlob and its siblings, /v1/token, /token, /tokeninfo or /oauth2/v3/certs",
        );
    };
    let Some(near) = nearest_of(IAM_METHODS, method) else {
        return Explanation::new(
            format!("accounts have no method {method}"),
            format!("they have {}", listed(&IAM_METHODS)),
        );
    };
    let why = if near == method {
        format!("{method} is asked with {}", request.method)
    } else {
        format!("accounts have no method {method}")
    };
    Explanation::new(why, format!("POST {resource}:{near}"))
}

/// The account that a path names.
fn target(path: &str) -> Option<&str> {
    let rest = path.split("/serviceAccounts/").nth(1)?;
    rest.split([':', '/']).next()
}
