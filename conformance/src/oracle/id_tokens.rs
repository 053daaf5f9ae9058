//! Steps on ID-token credentials.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use gce_auth::{
    BindIdToken, Credentials, CredentialsKind, IdTokenCredentials, MetadataClient, RefreshMode,
};
use serde_json::{Value, json};

use super::{
    Made,
    answer::{Failure, Outcome, Raised as _, Raiser},
    credentials::{headers, message, shown, target, token_state},
    world::World,
};

#[derive(Clone)]
pub(super) struct Identity {
    made: IdTokenCredentials,
    /// Python keeps an empty quota project, and sends none.
    empty_quota: bool,
    /// So with an empty name, which is none.
    empty_email: bool,
    flow: Flow,
}

#[derive(Clone, Copy, PartialEq)]
enum Flow {
    Metadata,
    Iam,
    /// Of a key file, or of an account that is impersonated.
    Elsewhere,
}

impl Identity {
    /// Credentials that a step has found or made of others.
    pub(super) fn of(made: IdTokenCredentials) -> Self {
        Self {
            flow: match made.kind() {
                CredentialsKind::ComputeEngine => Flow::Metadata,
                _ => Flow::Elsewhere,
            },
            made,
            empty_quota: false,
            empty_email: false,
        }
    }

    pub(super) fn new(world: &World, args: &Value) -> Result<Self, Failure> {
        let client = world.client().raised_by(Raiser::Request)?;
        let flow = match args["use_metadata_identity_endpoint"].as_bool() {
            Some(true) => Flow::Metadata,
            _ => Flow::Iam,
        };
        let quota = args["quota_project_id"].as_str();
        let mut made = built(world, client, flow, args)?;
        let named = args["service_account_email"].is_string();
        if !named && args["without_request"] != true {
            made.blocking_resolve().raised_by(Raiser::Request)?;
            if let (Flow::Iam, Some(email)) = (flow, made.service_account_email()) {
                // google-auth keeps the account that its constructor found; here `refresh` asks
                // again.
                made = made.with_service_account(&email).raised_by(Raiser::Check)?;
            }
        }
        Ok(Self {
            made,
            empty_quota: quota == Some(""),
            empty_email: args["service_account_email"] == "",
            flow,
        })
    }

    /// A token, fetched.
    pub(super) fn token(&self) -> Outcome {
        let token = self.made.blocking_token().raised_by(Raiser::Source)?;
        Ok(token.secret().into())
    }

    pub(super) fn run(&self, world: &World, op: &str, step: &Value) -> Result<Made, Failure> {
        let credentials = &self.made;
        let refresh = match self.flow {
            Flow::Metadata => Raiser::Identity,
            Flow::Iam => Raiser::Grant,
            Flow::Elsewhere => Raiser::Source,
        };
        match op {
            "refresh" => {
                credentials.blocking_refresh().raised_by(refresh)?;
                Ok(Value::from("refreshed").into())
            }
            "before_request" => {
                let mut headers = headers(step);
                let (method, uri) = target(step);
                credentials
                    .blocking_before_request(&method, &uri, &mut headers)
                    .raised_by(refresh)?;
                Ok(shown(&headers).into())
            }
            "apply" => {
                let mut headers = headers(step);
                match step["token"].as_str() {
                    Some(token) => credentials.apply_token(&mut headers, token),
                    None => credentials.apply(&mut headers),
                }
                .raised_by(Raiser::Check)?;
                Ok(shown(&headers).into())
            }
            "get" => self.property(world, step).map(Made::Value),
            "with_non_blocking_refresh" => {
                credentials.set_refresh_mode(RefreshMode::Background);
                Ok(Value::Null.into())
            }
            "sign_bytes" => {
                let signature = credentials
                    .blocking_sign_bytes(&message(step)?)
                    .raised_by(Raiser::Sign)?;
                Ok(json!({ "b64": BASE64_STANDARD.encode(signature) }).into())
            }
            _ => self.copy(op, &step["args"]),
        }
    }

    fn property(&self, world: &World, step: &Value) -> Result<Value, Failure> {
        let credentials = &self.made;
        Ok(match step["property"].as_str().unwrap_or_default() {
            "token" => json!(
                credentials
                    .held_token()
                    .map(|token| token.secret().to_owned())
            ),
            "expiry_in_s" => world.until(credentials.expires_at()),
            "expired" => credentials.is_expired().into(),
            "valid" => credentials.is_valid().into(),
            "token_state" => token_state(credentials.token_state()).into(),
            "service_account_email" | "signer_email" if self.empty_email => "".into(),
            "service_account_email" => json!(credentials.service_account_email()),
            "signer_email" => json!(credentials.signer_email()),
            "quota_project_id" if self.empty_quota => "".into(),
            "quota_project_id" => json!(credentials.quota_project_id()),
            // Of the class that google-auth's credentials all come from.
            "universe_domain" => "googleapis.com".into(),
            "cred_info" => Value::Null,
            other => return Err(Failure::unknown(other)),
        })
    }

    fn copy(&self, op: &str, args: &Value) -> Result<Made, Failure> {
        let credentials = &self.made;
        let text = |name: &str| args[name].as_str().unwrap_or_default();
        let mut empty_quota = self.empty_quota;
        let made = match op {
            "with_target_audience" => credentials.with_audience(text("target_audience")),
            "with_include_email" => credentials.with_include_email(args["include_email"] == true),
            "with_token_uri" => credentials.with_token_uri(text("token_uri")),
            "with_quota_project" => {
                let project = args["quota_project_id"].as_str();
                empty_quota = project == Some("");
                credentials.with_quota_project(project.filter(|project| !project.is_empty()))
            }
            "with_quota_project_from_environment" => {
                let copy = credentials.with_quota_project_from_environment();
                empty_quota &= copy
                    .as_ref()
                    .is_ok_and(|copy| copy.quota_project_id().is_none());
                copy
            }
            other => return Err(Failure::unknown(other)),
        };
        let made = made.raised_by(Raiser::Check)?;
        Ok(Self {
            made,
            empty_quota,
            empty_email: self.empty_email,
            flow: self.flow,
        }
        .into())
    }
}

fn built(
    world: &World,
    client: MetadataClient,
    flow: Flow,
    args: &Value,
) -> Result<IdTokenCredentials, Failure> {
    let some = |name: &str| args[name].as_str().filter(|text| !text.is_empty());
    let mut builder =
        IdTokenCredentials::builder(args["target_audience"].as_str().unwrap_or_default())
            .client(client.clone())
            .refresh_mode(RefreshMode::Blocking)
            .shared(false);
    if flow == Flow::Iam {
        let signing = Credentials::builder()
            .client(client)
            .refresh_mode(RefreshMode::Blocking)
            .regional_access_boundary(world.environment.looks_up_boundaries())
            .shared(false)
            .build();
        builder = builder
            .iam_flow(true)
            .credentials(signing.raised_by(Raiser::Check)?);
    }
    match args["service_account_email"].as_str() {
        // In the metadata flow an empty name is none.
        Some("") if flow == Flow::Metadata => {}
        Some(email) => builder = builder.service_account(email),
        None => {}
    }
    if let Some(uri) = some("token_uri") {
        builder = builder.token_uri(uri);
    }
    match args["additional_claims"].as_object() {
        Some(claims) if !claims.is_empty() => {
            builder = builder.additional_claims(args["additional_claims"].to_string());
        }
        _ => {}
    }
    if let Some(project) = some("quota_project_id") {
        builder = builder.quota_project_id(project);
    }
    if let Some(bind) = args["bind_id_token"].as_bool() {
        // google-auth's True binds where it can, as nothing said does, but is a setting.
        builder = builder.bind_id_token(match (bind, flow) {
            (false, _) => BindIdToken::Never,
            (true, Flow::Metadata) => BindIdToken::Automatic,
            (true, _) => BindIdToken::Always,
        });
    }
    builder.build().raised_by(Raiser::Check)
}
