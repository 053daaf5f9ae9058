//! Refusals of OAuth's endpoints and of the Security Token Service: `{"error",
//! "error_description"}`.

use serde_json::Value;

use super::facts::{Facts, listed};
use crate::recorded_request::{Explanation, RecordedRequest};

/// A part of the description, the cause, and what would have worked. An empty cause is the
/// description itself.
type Row = (&'static str, &'static str, &'static str);

const ROWS: [Row; 40] = [
    (
        "requested_token_type",
        "requested_token_type is not that of access tokens",
        "send urn:ietf:params:oauth:token-type:access_token",
    ),
    (
        "Invalid value for \"subject_token_type\"",
        "the subject token is of a type that the emulator does not take",
        "send urn:ietf:params:oauth:token-type:jwt, id_token or access_token",
    ),
    (
        "Invalid value for \"audience\"",
        "audience is no name of a provider",
        "send //iam.googleapis.com/projects/NUMBER/locations/global/workloadIdentityPools/POOL/providers/PROVIDER",
    ),
    (
        "provided access token is invalid or has expired",
        "the subject token was never issued here, has expired, or was revoked",
        "downscope a fresh token of the metadata server",
    ),
    (
        "has an access boundary already",
        "the subject token was downscoped before",
        "downscope the token that it came from",
    ),
    (
        "Invalid JWT Signature",
        "the assertion was signed with a key that is not the account's",
        "sign it with the key of a file of Emulator::write_adc, or upload the key with Account::public_key",
    ),
    (
        "Failed audience check",
        "aud of the assertion is no token endpoint",
        "set aud to https://oauth2.googleapis.com/token",
    ),
    (
        "iat and exp are required",
        "the assertion has no iat or no exp",
        "set both, an hour apart at most",
    ),
    (
        "Token must be a short-lived token",
        "the assertion lives longer than an hour, is not valid yet, or is over",
        "set iat to now and exp to at most an hour later, by the emulator's clock",
    ),
    (
        "Empty or missing scope not allowed",
        "the assertion has neither scope nor target_audience",
        "set scope for an access token, or target_audience for an ID token",
    ),
    (
        "Invalid email or User ID",
        "sub of the assertion is no user's email",
        "leave sub out, or set it to the user for domain-wide delegation",
    ),
    (
        "target_audience must not be empty",
        "target_audience of the assertion is empty",
        "set it to the URL of the service that the ID token is for",
    ),
    (
        "Could not determine client ID",
        "the request shows no OAuth client",
        "send client_id and client_secret, or Authorization: Basic",
    ),
    (
        "The provided client secret is invalid",
        "client_secret is not that of client_id",
        "send the secret of the user that the emulator was given",
    ),
    (
        "Token has been expired or revoked",
        "the refresh token was revoked",
        "POST /emulator/v1/reset, or sign in again on a real machine",
    ),
    (
        "rapt_required",
        "the user has to prove again who it is, and the request has no rapt",
        "send rapt=TOKEN of the reauthentication; with gcloud: gcloud auth application-default login",
    ),
    (
        "invalid_rapt",
        "the proof of reauthentication is not the one that the user was given",
        "reauthenticate, and send the new rapt",
    ),
    (
        "does not match the expected one in config",
        "",
        "let the issuer of the token and issuerUri of the provider be the same",
    ),
    (
        "does not match the expected audience",
        "",
        "set aud to https://iam.googleapis.com/PROVIDER, or allow another with Provider::audience",
    ),
    (
        "is stale to sign-in",
        "the subject token is over, or not valid yet",
        "send a fresh one, by the emulator's clock",
    ),
    (
        "Unable to verify the ID Token signature",
        "none of the provider's keys made the signature of the subject token",
        "give the issuer's keys with Provider::jwks",
    ),
    (
        "Error connecting to the given credential's issuer",
        "the provider has no key of this kid and algorithm",
        "give the issuer's keys with Provider::jwks, RSA for RS256, P-256 for ES256",
    ),
    (
        "rejected by the attribute condition",
        "the provider's attribute condition is not true for this token",
        "compare the claims with Provider::condition",
    ),
    (
        "The attribute mapping gives no value",
        "",
        "let the token have the claim, or change Provider::map",
    ),
    (
        "exceeds the 127 bytes limit",
        "google.subject is longer than 127 bytes",
        "map a shorter claim with Provider::map",
    ),
    (
        "Only access tokens can be introspected",
        "token_type_hint is not that of access tokens",
        "leave it out, or send urn:ietf:params:oauth:token-type:access_token",
    ),
    (
        "Client authentication is required",
        "the emulator is strict, and the request shows no OAuth client",
        "send client_id and client_secret, or Authorization: Basic",
    ),
    (
        "Token expired or revoked",
        "the token was never issued here, has expired, or was revoked before",
        "nothing is left to revoke",
    ),
    (
        "Invalid Value",
        "the token was never issued here, has expired, or was revoked",
        "ask the metadata server for a fresh one",
    ),
    (
        "Unable to parse the ID Token",
        "the subject token is no JSON Web Token",
        "send the token of the pool's provider: three parts in Base64, with dots in between",
    ),
    (
        "AWS request has invalid format",
        "the subject token is no request for AWS's GetCallerIdentity as JSON",
        "send {\"url\": .., \"method\": \"POST\", \"headers\": [{\"key\": .., \"value\": ..}]}, URL-encoded",
    ),
    (
        "x-goog-cloud-target-resource",
        "the request to AWS was signed for another provider",
        "sign the header x-goog-cloud-target-resource with the audience of this exchange",
    ),
    (
        "Credential should be scoped to",
        "the signature is for another region or service than the request",
        "sign for sts, and for the region in the host name of the url",
    ),
    (
        "headers must be signed",
        "the signature leaves out headers that it has to cover",
        "name host and all x-amz- headers in SignedHeaders",
    ),
    (
        "Signature expired",
        "x-amz-date is more than 15 minutes ago on the emulator's clock",
        "sign a new request for each exchange",
    ),
    (
        "Signature not yet current",
        "x-amz-date is more than 15 minutes ahead of the emulator's clock",
        "set one of the two clocks: POST /emulator/v1/clock",
    ),
    (
        "Received invalid AWS response",
        "AWS would refuse the signed request: its key, its session token or its signature is wrong",
        "sign with a key that the provider has: AwsKey, or \"accessKeys\" of PUT /emulator/v1/cloud",
    ),
    ("ccess boundary", "", BOUNDARY),
    ("availablePermissions", "", BOUNDARY),
    ("availabilityCondition", "", BOUNDARY),
];

const BOUNDARY: &str = "send options={\"accessBoundary\": {\"accessBoundaryRules\": [{\"availableResource\": \"//storage.googleapis.com/projects/_/buckets/BUCKET\", \"availablePermissions\": [\"inRole:roles/storage.objectViewer\"]}]}}";

/// The cause of a refusal of OAuth.
pub(super) fn explain(
    request: &RecordedRequest,
    body: &Value,
    facts: &Facts<'_>,
) -> Option<Explanation> {
    let (error, description) = (body["error"].as_str()?, body["error_description"].as_str());
    let description = description.unwrap_or_default();
    if let Some(found) = parameters(request, error, description) {
        return Some(found);
    }
    if error == "invalid_target" {
        let config = facts.settings.config();
        let names = serde_json::to_value(&config.providers).unwrap_or_default();
        let names: Vec<&str> = names
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|it| it["name"].as_str())
            .collect();
        let known = if names.is_empty() {
            "configure it with EmulatorBuilder::provider or \"providers\" of PUT /emulator/v1/cloud"
                .to_owned()
        } else {
            format!("known are {}", listed(&names))
        };
        return Some(Explanation::new(
            "there is no such provider, or it is disabled",
            known,
        ));
    }
    if description.contains("account not found") {
        return Some(Explanation::new(
            "iss of the assertion is no service account that is known here",
            format!("known are {}", listed(&facts.emails())),
        ));
    }
    if description.contains("OAuth client was not found") {
        let users = facts.settings.users();
        let clients: Vec<&str> = users.iter().map(|user| user.client_id.as_str()).collect();
        return Some(Explanation::new(
            "client_id is of no user that the emulator was given",
            format!("known are {}", listed(&clients)),
        ));
    }
    match (error, description) {
        ("invalid_grant", "Bad Request") => {
            return Some(Explanation::new(
                "the refresh token is of no user that the emulator was given",
                "take it from a file of Emulator::write_adc, or add the user with EmulatorBuilder::user",
            ));
        }
        ("unauthorized_client", "Unauthorized") => {
            return Some(Explanation::new(
                "the refresh token was issued to another OAuth client",
                "send the client_id and client_secret that belong to it",
            ));
        }
        ("invalid_scope", _) if description.contains("invalid=[") => {
            return Some(Explanation::new(
                format!(
                    "scopes that are not known, or that the user did not consent to: {description}"
                ),
                "leave scope out, or ask for scopes such as https://www.googleapis.com/auth/cloud-platform",
            ));
        }
        _ => {}
    }
    let row = ROWS.iter().find(|(part, _, _)| description.contains(part));
    Some(match row {
        Some((_, "", instead)) => Explanation::new(description, *instead),
        Some((_, why, instead)) => Explanation::new(*why, *instead),
        None => Explanation::only(format!("{error}: {description}")),
    })
}

/// Parameters that are missing, or grants that are not known.
fn parameters(request: &RecordedRequest, error: &str, description: &str) -> Option<Explanation> {
    let sts = request.path.starts_with("/v1/");
    let grants = match request.path.as_str() {
        "/v1/oauthtoken" => "refresh_token",
        _ if sts => "urn:ietf:params:oauth:grant-type:token-exchange",
        _ => "refresh_token, or urn:ietf:params:oauth:grant-type:jwt-bearer",
    };
    let name = [
        "Missing required parameter: ",
        "Required parameter is missing: ",
    ]
    .iter()
    .find_map(|prefix| description.strip_prefix(prefix));
    if let Some(name) = name {
        let form = request
            .header("content-type")
            .is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded"));
        let instead = match name {
            "grant_type" if !form && request.body_length > 0 => {
                "send the body as application/x-www-form-urlencoded: with another Content-Type its parameters are not read".to_owned()
            }
            "grant_type" => format!("send grant_type={grants}"),
            "scope" => "send scope=https://www.googleapis.com/auth/cloud-platform: the emulator is strict".to_owned(),
            "subject_token_type" => "send subject_token_type=urn:ietf:params:oauth:token-type:jwt".to_owned(),
            other => format!("send {other}=..."),
        };
        return Some(Explanation::new(
            format!("the request has no {name}"),
            instead,
        ));
    }
    (error == "unsupported_grant_type")
        .then(|| Explanation::new(description, format!("this path takes grant_type={grants}")))
}
