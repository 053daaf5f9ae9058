//! Steps that find credentials, read them from files, and make them of others.

use std::{fs, path::Path, time::Duration};

use gce_auth::{
    AccessBoundaryRule, CredentialAccessBoundary, CredentialsKind, DefaultCredentials,
    DefaultOptions, Detection, RefreshMode, blocking_default_credentials,
    blocking_fetch_id_token_credentials,
};
use serde_json::{Value, json};

use super::{
    answer::{Failure, Raised as _, Raiser},
    credentials::{Access, Origin},
    id_tokens::Identity,
    scopes,
    world::World,
};

/// Hosts that scenarios name in files, and that are nobody's but the scripted server's.
const TRUSTED: [&str; 3] = ["sts.example.com", "sts.other.example", "third.example"];

/// Credentials that were found, and what google-auth says of them.
pub(super) fn found(world: &World, op: &str, step: &Value) -> Result<(Access, Value), Failure> {
    let args = &step["args"];
    let universe = match (op, step["path"].as_str()) {
        ("default", _) => world
            .environment
            .credential_files()
            .iter()
            .find_map(|path| universe_of(path)),
        (_, Some(path)) => universe_of(Path::new(path)),
        _ => universe(&step["content"]),
    };
    let quota = args["quota_project_id"].as_str();
    let quota = quota.filter(|project| !project.is_empty());
    let mut options = options(world, args, universe, trusted(world, op, step))?;
    if let Some(project) = quota.filter(|_| op == "default") {
        options = options.quota_project_id(project);
    }
    let document = match step["path"].as_str() {
        Some(path) => document(Path::new(path)),
        None => Some(step["content"].clone()),
    };
    let found = match (op, step["path"].as_str()) {
        ("default", _) => blocking_default_credentials(options),
        (_, Some(path)) => options.load_file(path),
        _ => options.load_json(&step["content"].to_string()),
    };
    let DefaultCredentials {
        mut credentials,
        mut project_id,
        ..
    } = found.raised_by(Raiser::Find)?;
    let kind = credentials.kind();
    if op == "load_credentials" && kind == CredentialsKind::ExternalAccount {
        // google-auth asks for it here, too, and bills it to the project of the file; a failure is
        // no failure of the file.
        let of_file = match &document {
            Some(document) => document["quota_project_id"].as_str(),
            None => None,
        };
        let of_file = of_file.filter(|project| !project.is_empty());
        let asking = credentials.with_quota_project(of_file);
        let asking = asking.raised_by(Raiser::Check)?;
        project_id = asking.blocking_project_id().ok().flatten();
        if credentials.quota_project_id() == asking.quota_project_id() {
            credentials = asking;
        }
    }
    // A copy, which forgets what the search has asked for.
    if let Some(project) = quota {
        credentials = credentials
            .with_quota_project(project)
            .raised_by(Raiser::Check)?;
    }
    credentials.set_refresh_mode(RefreshMode::Blocking);
    let origin = match (kind, op) {
        (CredentialsKind::ComputeEngine, _) => Origin::Machine,
        (_, "default") => Origin::Elsewhere,
        // Python says where `default` found a file, and of no other.
        _ => Origin::Document,
    };
    let expired = match kind {
        // google-auth takes a saved token without its expiry for one that it should renew.
        CredentialsKind::AuthorizedUser => world.moment(&(-225).into()),
        CredentialsKind::ImpersonatedServiceAccount => world.moment(&0.into()),
        _ => None,
    };
    let said = json!({"credentials": kind.name(), "project_id": project_id});
    let made = Access::of(credentials, origin, args).expired_since(expired);
    Ok((made, said))
}

/// Credentials of ID tokens that were found, and what google-auth says of them.
pub(super) fn found_identity(world: &World, args: &Value) -> Result<(Identity, Value), Failure> {
    let files = world.environment.credential_files();
    let universe = files.iter().find_map(|path| universe_of(path));
    let options = options(world, &Value::Null, universe, &TRUSTED)?;
    let audience = args["audience"].as_str().unwrap_or_default();
    let credentials =
        blocking_fetch_id_token_credentials(audience, options).raised_by(Raiser::Find)?;
    credentials.set_refresh_mode(RefreshMode::Blocking);
    if credentials.kind() == CredentialsKind::ComputeEngine {
        // google-auth's constructor asks for the account.
        credentials.blocking_resolve().raised_by(Raiser::Find)?;
    }
    let kind = match credentials.kind() {
        CredentialsKind::ImpersonatedServiceAccount => "impersonated_id_token".to_owned(),
        kind => format!("{}_id_token", kind.name()),
    };
    let said = json!({"credentials": kind});
    Ok((Identity::of(credentials), said))
}

/// The hosts that a file may name. google-auth asks Google for the token of a user, whatever the
/// file says; the library asks a host that was trusted by name.
fn trusted(world: &World, op: &str, step: &Value) -> &'static [&'static str] {
    let files = world.environment.credential_files();
    let document = match (op, step["path"].as_str()) {
        ("default", _) => files.iter().find_map(|path| document(path)),
        (_, Some(path)) => document(Path::new(path)),
        _ => Some(step["content"].clone()),
    };
    match document {
        Some(document) if document["type"] == "authorized_user" => &[],
        _ => &TRUSTED,
    }
}

/// The universe that a file names. google-auth believes it; here the program has to name it, too.
fn universe_of(path: &Path) -> Option<String> {
    universe(&document(path)?)
}

fn document(path: &Path) -> Option<Value> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

fn universe(document: &Value) -> Option<String> {
    let named = |document: &Value| document["universe_domain"].as_str().map(str::to_owned);
    named(document)
        .or_else(|| named(&document["source_credentials"]))
        .filter(|domain| !domain.is_empty())
}

/// Chooses google-auth's settings.
fn options(
    world: &World,
    args: &Value,
    universe: Option<String>,
    trusted: &[&str],
) -> Result<DefaultOptions, Failure> {
    let client = world.client().raised_by(Raiser::Find)?;
    let mut options = DefaultOptions::new()
        .client(client)
        .detection(Detection::GoogleAuth)
        .regional_access_boundary(world.environment.looks_up_boundaries())
        .ask_gcloud(true)
        .shared(false);
    for host in trusted {
        options = options.trust_host(*host);
    }
    if let Some(domain) = universe {
        options = options.universe_domain(domain);
    }
    if let Some(scopes) = scopes::read(&args["scopes"]) {
        options = options.scopes(scopes);
    }
    if let Some(scopes) = scopes::read(&args["default_scopes"]) {
        options = options.default_scopes(scopes);
    }
    Ok(options)
}

/// Credentials of an account that those of `source` may act as.
pub(super) fn impersonated(
    world: &World,
    source: &Access,
    args: &Value,
) -> Result<Access, Failure> {
    let text = |name: &str| args[name].as_str();
    let credentials = source.credentials()?;
    // google-auth's constructor asks for it; here a failing side lookup fails nothing.
    let _ = credentials.blocking_universe_domain();
    let mut builder = credentials
        .impersonate(text("target_principal").unwrap_or_default())
        .scopes(scopes::read(&args["target_scopes"]).unwrap_or_default());
    if let Some(delegates) = scopes::read(&args["delegates"]) {
        builder = builder.delegates(delegates);
    }
    if let Some(seconds) = args["lifetime"].as_u64() {
        builder = builder.lifetime(Duration::from_secs(seconds));
    }
    if let Some(subject) = text("subject") {
        builder = builder.subject(subject);
    }
    if let Some(project) = text("quota_project_id") {
        builder = builder.quota_project_id(project);
    }
    if let Some(url) = text("iam_endpoint_override") {
        builder = builder.access_token_url(url);
    }
    let made = builder.build().raised_by(Raiser::Check)?;
    let now = world.moment(&0.into());
    Ok(Access::of(made, Origin::Document, args).expired_since(now))
}

/// ID tokens of an account that is impersonated.
pub(super) fn impersonated_identity(source: &Access, args: &Value) -> Result<Identity, Failure> {
    let credentials = source.credentials()?;
    if credentials.kind() != CredentialsKind::ImpersonatedServiceAccount {
        // A class of google-auth's own, which takes no other.
        return Err(Failure::refused(
            "the credentials must be impersonated ones",
        ));
    }
    let audience = args["target_audience"].as_str().unwrap_or_default();
    let made = credentials
        .id_token(audience)
        .and_then(|made| made.with_include_email(args["include_email"] == true))
        .and_then(|made| match args["quota_project_id"].as_str() {
            Some(project) => made.with_quota_project(project),
            None => Ok(made),
        });
    Ok(Identity::of(made.raised_by(Raiser::Check)?))
}

/// Credentials with less than those of `source` may do.
pub(super) fn downscoped(source: &Access, args: &Value) -> Result<Access, Failure> {
    let credentials = source.credentials()?;
    let rules = args["rules"].as_array().into_iter().flatten();
    let rules: Vec<_> = rules.map(boundary_rule).collect::<Result<_, _>>()?;
    let boundary = CredentialAccessBoundary::new(rules).raised_by(Raiser::Check)?;
    // google-auth's default, whatever the universe of the source; here the source's is.
    let domain = args["universe_domain"].as_str().unwrap_or("googleapis.com");
    let made = credentials.downscope(&boundary);
    let made = made.map(|made| made.with_universe_domain(domain));
    let made = made.and_then(|made| match args["quota_project_id"].as_str() {
        Some(project) => made.with_quota_project(project),
        None => Ok(made),
    });
    let made = made.raised_by(Raiser::Check)?;
    Ok(Access::of(made, Origin::Elsewhere, args))
}

fn boundary_rule(rule: &Value) -> Result<AccessBoundaryRule, Failure> {
    let resource = rule["available_resource"].as_str().unwrap_or_default();
    let permissions = scopes::read(&rule["available_permissions"]).unwrap_or_default();
    let mut made = AccessBoundaryRule::new(resource, permissions).raised_by(Raiser::Check)?;
    let condition = &rule["availability_condition"];
    if let Some(expression) = condition["expression"].as_str() {
        made = made.condition(expression);
    }
    if let Some(title) = condition["title"].as_str() {
        made = made.title(title);
    }
    if let Some(description) = condition["description"].as_str() {
        made = made.description(description);
    }
    Ok(made)
}

/// A service account that signs its own JWTs for one audience, as google-auth's `jwt.Credentials`.
pub(super) fn jwt(source: &Access, args: &Value) -> Result<Access, Failure> {
    let audience = args["audience"].as_str().unwrap_or_default();
    let made = source
        .credentials()?
        .self_signed_jwt(audience)
        .and_then(|made| match args["token_lifetime"].as_u64() {
            Some(seconds) => made.with_jwt_lifetime(Duration::from_secs(seconds)),
            None => Ok(made),
        })
        .and_then(|made| match &args["additional_claims"] {
            claims @ Value::Object(_) => made.with_claims(&claims.to_string()),
            _ => Ok(made),
        });
    let made = made.raised_by(Raiser::Check)?;
    Ok(Access::of(made, Origin::Elsewhere, &Value::Null))
}
