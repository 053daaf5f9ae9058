//! Errors in the shapes of Google's APIs.

use gce_auth_server::protocol::Reply;
use serde_json::{Value, json};

/// An error of an API: `{"error": {"code", "message", "status"}}`.
pub(crate) fn google(code: u16, status: &str, message: &str) -> Reply {
    Reply::cloud(
        code,
        &json!({"error": {"code": code, "message": message, "status": status}}),
    )
}

pub(crate) fn invalid(message: &str) -> Reply {
    google(400, "INVALID_ARGUMENT", message)
}

pub(crate) fn not_found(message: &str) -> Reply {
    google(404, "NOT_FOUND", message)
}

/// A method that an API does not have, or has for another verb.
pub(crate) fn no_method() -> Reply {
    not_found("Method not found.")
}

pub(crate) fn internal() -> Reply {
    google(500, "INTERNAL", "Internal error encountered.")
}

/// No token, or none that is accepted.
pub(crate) fn unauthenticated(presented: bool) -> Reply {
    let what = if presented {
        "Request had invalid authentication credentials."
    } else {
        "Request is missing required authentication credential."
    };
    let message = format!(
        "{what} Expected OAuth 2 access token, login cookie or other valid authentication \
         credential. \
         See https://developers.google.com/identity/sign-in/web/devconsole-project."
    );
    google(401, "UNAUTHENTICATED", &message).with(
        "WWW-Authenticate",
        "Bearer realm=\"https://accounts.google.com/\"",
    )
}

/// A token without a scope that covers the API.
pub(crate) fn insufficient_scopes(service: &str, method: &str) -> Reply {
    const MESSAGE: &str = "Request had insufficient authentication scopes.";
    denied(
        MESSAGE,
        "ACCESS_TOKEN_SCOPE_INSUFFICIENT",
        "googleapis.com",
        &json!({"service": service, "method": method}),
    )
    .with(
        "WWW-Authenticate",
        "Bearer realm=\"https://accounts.google.com/\", error=\"insufficient_scope\"",
    )
}

/// A permission that the caller does not have.
pub(crate) fn permission_denied(permission: &str) -> Reply {
    let message = format!("Permission '{permission}' denied on resource (or it may not exist).");
    denied(
        &message,
        "IAM_PERMISSION_DENIED",
        "iam.googleapis.com",
        &json!({ "permission": permission }),
    )
}

fn denied(message: &str, reason: &str, domain: &str, metadata: &Value) -> Reply {
    Reply::cloud(
        403,
        &json!({"error": {
            "code": 403,
            "message": message,
            "status": "PERMISSION_DENIED",
            "details": [{
                "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                "reason": reason,
                "domain": domain,
                "metadata": metadata,
            }],
        }}),
    )
}

/// An error of an OAuth endpoint: `{"error", "error_description"}`.
pub(crate) fn oauth(code: u16, error: &str, description: &str) -> Reply {
    Reply::cloud(
        code,
        &json!({"error": error, "error_description": description}),
    )
}

pub(crate) fn invalid_request(description: &str) -> Reply {
    oauth(400, "invalid_request", description)
}

pub(crate) fn invalid_grant(description: &str) -> Reply {
    oauth(400, "invalid_grant", description)
}

pub(crate) fn missing(parameter: &str) -> Reply {
    invalid_request(&format!("Missing required parameter: {parameter}"))
}

pub(crate) fn invalid_client(description: &str) -> Reply {
    oauth(401, "invalid_client", description)
}

/// A user has to sign in anew before the refresh token works again.
pub(crate) fn reauthentication(subtype: &str) -> Reply {
    Reply::cloud(
        400,
        &json!({
            "error": "invalid_grant",
            "error_description": format!("reauth related error ({subtype})"),
            "error_uri": "https://support.google.com/a/answer/9368756",
            "error_subtype": subtype,
        }),
    )
}

pub(crate) fn unsigned() -> Reply {
    oauth(500, "internal_failure", "The token could not be signed.")
}

pub(crate) fn no_randomness() -> Reply {
    oauth(500, "internal_failure", "The system has no randomness.")
}
