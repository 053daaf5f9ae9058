//! The IAM Service Account Credentials API: signing and minting in the name of an account.

use std::time::Duration;

use base64::{Engine, prelude::BASE64_STANDARD};
use gce_auth_server::protocol::{Method, Reply};
use serde_json::{Map, Value, json};

use crate::{
    clock::Instant,
    cloud::{call::CloudCall, encoding, errors, lookup, oauth, self_signed},
    identity::{
        accounts::{CLOUD_PLATFORM, Identity},
        claims::{Detail, claims},
        jwt,
        keys::SigningKey,
    },
    policy::{principal::Principal, settings::Settings, tokens::Grant},
    state::State,
};

const IAM: &str = "https://www.googleapis.com/auth/iam";
const ORIGIN: &str = "https://iamcredentials.googleapis.com";
const SERVICE: &str = "iamcredentials.googleapis.com";
const HOUR: Duration = Duration::from_secs(3600);
const TWELVE_HOURS: Duration = Duration::from_secs(12 * 3600);

/// The methods of an account, with the permissions that they need.
#[derive(Clone, Copy)]
enum Verb {
    AllowedLocations,
    SignBlob,
    SignJwt,
    AccessToken,
    IdToken,
}

impl Verb {
    fn parse(method: &Method, name: &str) -> Option<Self> {
        let (wanted, verb) = match name {
            "allowedLocations" => (Method::Get, Self::AllowedLocations),
            "signBlob" => (Method::Post, Self::SignBlob),
            "signJwt" => (Method::Post, Self::SignJwt),
            "generateAccessToken" => (Method::Post, Self::AccessToken),
            "generateIdToken" => (Method::Post, Self::IdToken),
            _ => return None,
        };
        (*method == wanted).then_some(verb)
    }

    fn permission(self) -> &'static str {
        match self {
            Self::AllowedLocations => "iam.serviceAccounts.getAllowedLocations",
            Self::SignBlob => "iam.serviceAccounts.signBlob",
            Self::SignJwt => "iam.serviceAccounts.signJwt",
            Self::AccessToken => "iam.serviceAccounts.getAccessToken",
            Self::IdToken => "iam.serviceAccounts.getOpenIdToken",
        }
    }
}

/// Answers `ACCOUNT:METHOD`.
pub(crate) async fn answer(state: &State, account: &str, method: &str, call: &CloudCall) -> Reply {
    let Some(verb) = Verb::parse(&call.method, method) else {
        return errors::no_method();
    };
    call_verb(state, account, verb, method, call)
        .await
        .unwrap_or_else(|refusal| refusal)
}

async fn call_verb(
    state: &State,
    account: &str,
    verb: Verb,
    method: &str,
    call: &CloudCall,
) -> Result<Reply, Reply> {
    let caller = caller(state, call, method).await?;
    let account = known(state, account)?;
    if matches!(verb, Verb::AllowedLocations) {
        return Ok(locations());
    }
    let body = call
        .json()
        .ok_or_else(|| errors::invalid("Invalid JSON payload received."))?;
    let settings = state.cloud.settings();
    check_chain(state, &settings, caller, &account, &body, verb)?;
    if matches!(verb, Verb::AccessToken) {
        return access_token(state, &settings, &account, &body);
    }
    let signs = matches!(verb, Verb::SignBlob | Verb::SignJwt);
    let key = if signs {
        state.key_of(&account).await
    } else {
        state.key().await
    };
    let key = key.ok_or_else(errors::internal)?;
    let answer = match verb {
        Verb::SignBlob => sign_blob(&key, &body)?,
        Verb::SignJwt => sign_jwt(&settings, &key, &body, state.clock.now())?,
        _ => id_token(state, &settings, &key, &account, &body)?,
    };
    Ok(Reply::cloud(200, &answer))
}

/// The locations of a pool's workloads.
pub(crate) async fn pool_locations(state: &State, call: &CloudCall) -> Reply {
    if call.method != Method::Get {
        return errors::no_method();
    }
    match caller(state, call, "allowedLocations").await {
        Ok(_) => locations(),
        Err(refusal) => refusal,
    }
}

/// The caller: the holder of a token that is accepted, with a scope that covers IAM, and without a
/// boundary, as none leaves anything of IAM's.
pub(crate) async fn caller(
    state: &State,
    call: &CloudCall,
    method: &str,
) -> Result<Principal, Reply> {
    let token = call
        .bearer()
        .ok_or_else(|| errors::unauthenticated(false))?;
    let now = state.clock.now();
    let known = {
        let issuer = state.issuer();
        let known = issuer.tokens.known(token, now);
        known.map(|issued| issued.grant.clone())
    };
    let grant = match known {
        Some(grant) => grant,
        None => self_signed::grant(state, token, (ORIGIN, &[IAM]), now).await?,
    };
    if !grant.has_scope(&[IAM, CLOUD_PLATFORM]) {
        return Err(errors::insufficient_scopes(SERVICE, method));
    }
    if grant.boundary.is_some() {
        return Err(errors::permission_denied(&format!(
            "iam.serviceAccounts.{method}"
        )));
    }
    Ok(grant.principal)
}

fn known(state: &State, account: &str) -> Result<String, Reply> {
    lookup::account(state, account).ok_or_else(|| {
        errors::not_found(&format!("Not found; Gaia id not found for email {account}"))
    })
}

/// Checks that the caller may act for the first delegate, each delegate for the next, and the last
/// for the account.
fn check_chain(
    state: &State,
    settings: &Settings,
    caller: Principal,
    account: &str,
    body: &Map<String, Value>,
    verb: Verb,
) -> Result<(), Reply> {
    const PREFIX: &str = "projects/-/serviceAccounts/";
    let none = Vec::new();
    let delegates = match body.get("delegates") {
        None | Some(Value::Null) => &none,
        Some(Value::Array(delegates)) => delegates,
        Some(_) => return Err(errors::invalid("Invalid value at 'delegates'.")),
    };
    let mut holder = caller;
    for delegate in delegates {
        // google-auth for Python sends what it was given, which is an email in many programs.
        let name = delegate
            .as_str()
            .and_then(|name| match name.strip_prefix(PREFIX) {
                None if settings.is_strict() => None,
                stripped => Some(stripped.unwrap_or(name)),
            })
            .ok_or_else(|| {
                errors::invalid(
                    "Delegates must have the form \
                     projects/-/serviceAccounts/{ACCOUNT_EMAIL_OR_UNIQUEID}.",
                )
            })?;
        let email = known(state, name)?;
        if !settings.may_impersonate(&holder, &email) {
            return Err(errors::permission_denied(
                "iam.serviceAccounts.implicitDelegation",
            ));
        }
        holder = Principal::service_account(email);
    }
    if settings.may_impersonate(&holder, account) {
        Ok(())
    } else {
        Err(errors::permission_denied(verb.permission()))
    }
}

fn locations() -> Reply {
    Reply::cloud(
        200,
        &json!({
            "locations": ["us-central1", "us-east1", "europe-west1"],
            "encodedLocations": "0xA30",
        }),
    )
}

fn payload(body: &Map<String, Value>) -> Result<&str, Reply> {
    body.get("payload")
        .and_then(Value::as_str)
        .ok_or_else(|| errors::invalid("The payload is required."))
}

fn sign_blob(key: &SigningKey, body: &Map<String, Value>) -> Result<Value, Reply> {
    let payload = encoding::bytes(payload(body)?).ok_or_else(|| {
        errors::invalid("Invalid value at 'payload' (TYPE_BYTES), Base64 decoding failed.")
    })?;
    let signature = key.sign(&payload).ok_or_else(errors::internal)?;
    Ok(json!({
        "keyId": key.id(),
        "signedBlob": BASE64_STANDARD.encode(signature),
    }))
}

/// Any claims are signed, those of another account too: a verifier holds the issuer against whose
/// key it is.
fn sign_jwt(
    settings: &Settings,
    key: &SigningKey,
    body: &Map<String, Value>,
    now: Instant,
) -> Result<Value, Reply> {
    let payload = payload(body)?;
    let Ok(Value::Object(claims)) = serde_json::from_str(payload) else {
        return Err(errors::invalid(
            "The payload must be a JSON object of claims.",
        ));
    };
    let latest = now.plus(TWELVE_HOURS).seconds();
    let is_near = |end: &Value| {
        let end = end.as_i64();
        end.is_some_and(|end| (now.seconds()..=latest).contains(&end))
    };
    if settings.is_strict() && claims.get("exp").is_some_and(|end| !is_near(end)) {
        return Err(errors::invalid(
            "The claim exp must be an integer timestamp that is not in the past and no more than 12 \
             hours in the future.",
        ));
    }
    let token = jwt::sign_text(key, payload).ok_or_else(errors::internal)?;
    Ok(json!({"keyId": key.id(), "signedJwt": token}))
}

fn access_token(
    state: &State,
    settings: &Settings,
    account: &str,
    body: &Map<String, Value>,
) -> Result<Reply, Reply> {
    let scopes = scopes(settings, body)?;
    let lifetime = lifetime(settings, account, body)?;
    let grant = Grant::new(Principal::service_account(account), scopes);
    let now = state.clock.now();
    let issued = state
        .issuer()
        .tokens
        .issue(grant, lifetime, now)
        .ok_or_else(errors::internal)?;
    Ok(Reply::cloud(
        200,
        &json!({
            "accessToken": issued.token,
            "expireTime": issued.expires.rfc3339(),
        }),
    ))
}

/// The scopes of `generateAccessToken`; one that is empty means `cloud-platform`.
fn scopes(settings: &Settings, body: &Map<String, Value>) -> Result<Vec<String>, Reply> {
    let asked = match body.get("scope") {
        None | Some(Value::Null) => &Vec::new(),
        Some(Value::Array(scopes)) => scopes,
        Some(_) => return Err(errors::invalid("Invalid value at 'scope'.")),
    };
    let mut scopes = Vec::with_capacity(asked.len());
    for scope in asked {
        match scope.as_str() {
            Some("") => scopes.push(CLOUD_PLATFORM.to_owned()),
            Some(scope) if !settings.is_strict() || oauth::is_scope(scope) => {
                scopes.push(scope.into());
            }
            _ => return Err(errors::invalid("Invalid value at 'scope'.")),
        }
    }
    if scopes.is_empty() {
        return Err(errors::invalid("The scope is required."));
    }
    Ok(scopes)
}

fn lifetime(
    settings: &Settings,
    account: &str,
    body: &Map<String, Value>,
) -> Result<Duration, Reply> {
    let lifetime = match body.get("lifetime") {
        None | Some(Value::Null) => HOUR,
        Some(Value::String(text)) => text
            .strip_suffix('s')
            .and_then(|seconds| seconds.parse::<f64>().ok())
            .ok_or_else(|| errors::invalid("Invalid value at 'lifetime' (Duration)."))
            .and_then(|seconds| {
                Duration::try_from_secs_f64(seconds)
                    .ok()
                    .filter(|lifetime| !lifetime.is_zero())
                    .ok_or_else(|| {
                        errors::invalid("Lifetime of access token must be larger then zero.")
                    })
            })?,
        Some(_) => return Err(errors::invalid("Invalid value at 'lifetime' (Duration).")),
    };
    if lifetime > TWELVE_HOURS {
        return Err(errors::invalid(
            "Access tokens can not have lifetimes of more than 12 hours.",
        ));
    }
    if lifetime > HOUR && !settings.extends_lifetime(account) {
        return Err(errors::invalid(
            "Access tokens can not have lifetimes of more than 1 hour. Use the Org Policy \
             Constraint \
             constraints/iam.allowServiceAccountCredentialLifetimeExtension to allow up to 12 \
              hours.",
        ));
    }
    Ok(lifetime)
}

fn id_token(
    state: &State,
    settings: &Settings,
    key: &SigningKey,
    account: &str,
    body: &Map<String, Value>,
) -> Result<Value, Reply> {
    let audience = body
        .get("audience")
        .and_then(Value::as_str)
        .filter(|audience| !audience.is_empty())
        .ok_or_else(|| errors::invalid("The audience is required."))?;
    let flag =
        |name: &str| matches!(body.get(name), Some(value) if *value == true || *value == "true");
    let detail = Detail {
        email: flag("includeEmail"),
        machine: false,
        licenses: false,
    };
    let now = state.clock.now();
    let account = Identity {
        email: account.into(),
        scopes: Vec::new(),
    };
    let mut claims = state
        .document
        .read(|document| claims(document, &account, audience, detail, now));
    if flag("useEmailAzp") {
        claims["azp"] = account.email.as_str().into();
    }
    if flag("organizationNumberIncluded") {
        claims["google"] = json!({"organization_number": settings.organization_number()});
    }
    let token = jwt::sign(key, &claims).ok_or_else(errors::internal)?;
    Ok(json!({ "token": token }))
}
