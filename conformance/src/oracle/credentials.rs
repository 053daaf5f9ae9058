//! Steps on access-token credentials.

use std::time::SystemTime;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use gce_auth::{Credentials, CredentialsKind, Error, RefreshMode, TokenState};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use serde_json::{Value, json};

use super::{
    Made,
    answer::{Failure, Raised as _, Raiser},
    saved,
    scopes::{self, Form},
    world::World,
};

/// Credentials, or why there are none: google-auth finds out when they are used.
#[derive(Clone)]
pub(super) struct Access {
    made: Result<Credentials, Error>,
    origin: Origin,
    /// When Python says that a token expired which was never fetched.
    unfetched_until: Option<SystemTime>,
    /// Python keeps an empty quota project, and sends none.
    empty_quota: bool,
    /// What tokens are signed for from the next refresh on.
    next_audience: Option<String>,
    /// How the program wrote the scopes and the default scopes.
    scopes: Option<Form>,
    default_scopes: Option<Form>,
}

/// What credentials were made of, where that decides what Python shows or raises.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Origin {
    /// The metadata server.
    Machine,
    /// A file, or other credentials.
    Elsewhere,
    /// A document without a file, of which Python has nothing to say.
    Document,
}

impl Access {
    /// Credentials that a step has found or made of others.
    pub(super) fn of(credentials: Credentials, origin: Origin, args: &Value) -> Self {
        Self {
            made: Ok(credentials),
            origin,
            unfetched_until: None,
            empty_quota: args["quota_project_id"] == "",
            next_audience: None,
            scopes: Form::of(&args["scopes"]),
            default_scopes: Form::of(&args["default_scopes"]),
        }
    }

    /// The same; until a token is fetched, Python shows that one expired at `moment`.
    pub(super) fn expired_since(mut self, moment: Option<SystemTime>) -> Self {
        self.unfetched_until = moment;
        self
    }

    pub(super) fn credentials(&self) -> Result<&Credentials, Failure> {
        self.made
            .as_ref()
            .map_err(|error| Failure::of(error, Raiser::Refresh))
    }

    /// The same in other respects, with other credentials.
    fn changed(&self, credentials: Credentials) -> Self {
        Self {
            made: Ok(credentials),
            ..self.clone()
        }
    }

    /// Who raises what a refresh fails with.
    fn refreshes(&self) -> Raiser {
        match self.origin {
            Origin::Machine => Raiser::Refresh,
            _ => Raiser::Source,
        }
    }

    pub(super) fn new(world: &World, args: &Value) -> Result<Self, Failure> {
        let quota = args["quota_project_id"].as_str();
        let made = world.client().and_then(|client| {
            let mut builder = Credentials::builder()
                .client(client)
                .refresh_mode(RefreshMode::Blocking)
                .regional_access_boundary(world.environment.looks_up_boundaries())
                .shared(false);
            if let Some(account) = args["service_account_email"].as_str() {
                builder = builder.service_account(account);
            }
            if let Some(project) = quota.filter(|project| !project.is_empty()) {
                builder = builder.quota_project_id(project);
            }
            if let Some(scopes) = scopes::read(&args["scopes"]) {
                builder = builder.scopes(scopes);
            }
            if let Some(scopes) = scopes::read(&args["default_scopes"]) {
                builder = builder.default_scopes(scopes);
            }
            if let Some(domain) = args["universe_domain"].as_str() {
                builder = builder.universe_domain(domain);
            }
            builder.build()
        });
        Ok(Self {
            made,
            origin: Origin::Machine,
            unfetched_until: None,
            empty_quota: quota == Some(""),
            next_audience: None,
            scopes: Form::of(&args["scopes"]),
            default_scopes: Form::of(&args["default_scopes"]),
        })
    }

    pub(super) fn run(&self, world: &World, op: &str, step: &Value) -> Result<Made, Failure> {
        let args = &step["args"];
        let raiser = match op {
            "get" => Raiser::Request,
            _ => self.refreshes(),
        };
        let credentials = self.made.clone().raised_by(raiser)?;
        match op {
            "refresh" => {
                credentials.blocking_refresh().raised_by(self.refreshes())?;
                Ok(Value::from("refreshed").into())
            }
            "before_request" => {
                let mut headers = headers(step);
                let (method, uri) = target(step);
                credentials
                    .blocking_before_request(&method, &uri, &mut headers)
                    .raised_by(self.refreshes())?;
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
            "get" => self.property(world, &credentials, step).map(Made::Value),
            "with_non_blocking_refresh" => {
                credentials.set_refresh_mode(RefreshMode::Background);
                Ok(Value::Null.into())
            }
            "set_token" => {
                let expires_at = world.moment(&args["expiry_in_s"]);
                credentials
                    .set_token(args["token"].as_str(), expires_at)
                    .raised_by(Raiser::Check)?;
                Ok(Value::Null.into())
            }
            "enable_blocking_regional_access_boundary" => {
                credentials.block_on_regional_access_boundary();
                Ok(Value::Null.into())
            }
            "set_regional_access_boundary" => {
                let encoded = args["encoded_locations"]
                    .as_str()
                    .map(HeaderValue::from_str);
                let encoded = encoded
                    .transpose()
                    .map_err(|_| Failure::unusable("not a header"))?;
                let expires_at = world.moment(&args["expiry_in_s"]);
                credentials.set_regional_access_boundary(encoded, expires_at);
                Ok(Value::Null.into())
            }
            "sign_bytes" => {
                let signature = credentials
                    .blocking_sign_bytes(&message(step)?)
                    .raised_by(Raiser::Sign)?;
                Ok(json!({ "b64": BASE64_STANDARD.encode(signature) }).into())
            }
            "get_project_id" => {
                let project = credentials
                    .blocking_project_id()
                    .raised_by(Raiser::Source)?;
                Ok(json!(project).into())
            }
            _ => self.copy(world, &credentials, op, args),
        }
    }

    fn property(
        &self,
        world: &World,
        credentials: &Credentials,
        step: &Value,
    ) -> Result<Value, Failure> {
        Ok(match step["property"].as_str().unwrap_or_default() {
            "token" => json!(
                credentials
                    .held_token()
                    .map(|token| token.secret().to_owned())
            ),
            // The library calls a saved token without an expiry expired since the epoch.
            "expiry_in_s" | "expired"
                if self.unfetched_until.is_some()
                    && credentials
                        .held_token()
                        .is_none_or(|token| token.expires_at() == Some(SystemTime::UNIX_EPOCH)) =>
            {
                match step["property"].as_str() {
                    Some("expired") => true.into(),
                    _ => world.until(self.unfetched_until),
                }
            }
            "expiry_in_s" => world.until(credentials.expires_at()),
            "expired" => credentials.is_expired().into(),
            "valid" => credentials.is_valid().into(),
            "token_state" => token_state(credentials.token_state()).into(),
            // Python keeps the scopes of an impersonated account elsewhere, and shows none.
            "scopes" | "default_scopes"
                if credentials.kind() == CredentialsKind::ImpersonatedServiceAccount =>
            {
                Value::Null
            }
            "scopes" => world.texts.show(credentials.scopes(), self.scopes),
            "default_scopes" => world
                .texts
                .show(credentials.default_scopes(), self.default_scopes),
            "granted_scopes" => json!(credentials.granted_scopes()),
            "requires_scopes" => credentials.requires_scopes().into(),
            "has_scopes" => {
                let wanted = scopes::read(&step["args"]["scopes"]).unwrap_or_default();
                let hidden = credentials.kind() == CredentialsKind::ImpersonatedServiceAccount;
                (credentials.has_scopes(&wanted) && (!hidden || wanted.is_empty())).into()
            }
            // Python has no name for whom no account is named.
            "service_account_email" if credentials.info().principal.is_empty() => Value::Null,
            "service_account_email" | "signer_email" => credentials.info().principal.into(),
            "quota_project_id" if self.empty_quota => "".into(),
            "quota_project_id" => json!(credentials.quota_project_id()),
            "universe_domain" => credentials
                .blocking_universe_domain()
                .raised_by(Raiser::Request)?
                .into(),
            "cred_info" if self.origin == Origin::Document => Value::Null,
            "cred_info" => {
                let info = credentials.info();
                let mut shown = json!({
                    "credential_source": info.source,
                    "credential_type": info.credential_type,
                });
                if !info.principal.is_empty() {
                    shown["principal"] = json!(info.principal);
                }
                shown
            }
            "regional_access_boundary" => json!(credentials.regional_access_boundary()),
            "regional_access_boundary_expiry_in_s" => {
                world.until(credentials.regional_access_boundary_expires_at())
            }
            other => return saved::property(credentials, other),
        })
    }

    fn copy(
        &self,
        world: &World,
        credentials: &Credentials,
        op: &str,
        args: &Value,
    ) -> Result<Made, Failure> {
        if lacks(credentials.kind(), op) {
            return Err(Failure::unknown(op));
        }
        let mut empty_quota = self.empty_quota;
        let rescoped = match op {
            "with_scopes" => true,
            "with_scopes_if_required" => credentials.requires_scopes(),
            _ => false,
        };
        let forms = if rescoped {
            (Form::of(&args["scopes"]), Form::of(&args["default_scopes"]))
        } else {
            (self.scopes, self.default_scopes)
        };
        let scoped = |scopes: Option<Vec<String>>| {
            let copy = match scopes {
                Some(scopes) => credentials.with_scopes(scopes),
                None => credentials.without_scopes(),
            };
            match scopes::read(&args["default_scopes"]) {
                Some(defaults) => copy.with_default_scopes(defaults),
                None => copy,
            }
        };
        let scopes = scopes::read(&args["scopes"]);
        let copy = match op {
            "with_scopes" | "with_scopes_if_required" if rescoped => Ok(scoped(scopes)),
            "with_scopes_if_required" => {
                Ok(credentials.with_scopes_if_required(scopes.unwrap_or_default()))
            }
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
            "with_universe_domain" => {
                let domain = args["universe_domain"].as_str().unwrap_or_default();
                Ok(credentials.with_universe_domain(domain))
            }
            // It has had no effect since boundaries are looked up, and makes a copy.
            "with_trust_boundary" => credentials.with_quota_project(credentials.quota_project_id()),
            "with_token_uri" => {
                credentials.with_token_uri(args["token_uri"].as_str().unwrap_or_default())
            }
            "with_subject" => credentials.with_subject(args["subject"].as_str()),
            "with_always_use_jwt_access" => {
                credentials.with_jwt_access(args["always_use_jwt_access"] == true)
            }
            "with_claims" => return Ok(self.with_claims(credentials, args)?.into()),
            other => return Err(Failure::unknown(other)),
        };
        Ok(Self {
            // Python makes impersonated credentials anew, and copies others without an expiry.
            unfetched_until: match credentials.kind() {
                CredentialsKind::ImpersonatedServiceAccount => world.moment(&0.into()),
                _ => None,
            },
            empty_quota,
            scopes: forms.0,
            default_scopes: forms.1,
            ..self.changed(copy.raised_by(Raiser::Check)?)
        }
        .into())
    }

    fn with_claims(&self, credentials: &Credentials, args: &Value) -> Result<Self, Failure> {
        let mut copy = credentials.clone();
        if let Some(audience) = args["audience"].as_str() {
            copy = copy.with_jwt_audience(audience).raised_by(Raiser::Check)?;
        }
        if args["additional_claims"].is_object() {
            copy = copy
                .with_claims(&args["additional_claims"].to_string())
                .raised_by(Raiser::Check)?;
        }
        Ok(self.changed(copy))
    }

    /// Has tokens signed for an audience from the next refresh on: Python keeps the token that it
    /// has.
    pub(super) fn sign_for(&mut self, audience: &Value) {
        self.next_audience = audience.as_str().map(str::to_owned);
    }

    /// Changes the audience if the step refreshes the token.
    pub(super) fn turn_to_audience(&mut self, op: &str) -> Result<(), Failure> {
        let Some(audience) = &self.next_audience else {
            return Ok(());
        };
        let credentials = self.credentials()?;
        let refreshes = match op {
            "refresh" => true,
            "before_request" => credentials.token_state() != TokenState::Fresh,
            _ => false,
        };
        if refreshes {
            let changed = credentials.with_jwt_audience(&**audience);
            self.made = Ok(changed.raised_by(Raiser::Check)?);
            self.next_audience = None;
        }
        Ok(())
    }
}

/// The message of a step that signs.
pub(super) fn message(step: &Value) -> Result<Vec<u8>, Failure> {
    let message = step["message_b64"].as_str().unwrap_or_default();
    let message = BASE64_STANDARD.decode(message);
    message.map_err(|_| Failure::unusable("not base64"))
}

pub(super) fn token_state(state: TokenState) -> &'static str {
    match state {
        TokenState::Fresh => "fresh",
        TokenState::Stale => "stale",
        _ => "invalid",
    }
}

/// The headers of a step's request; of names that differ only in case, the last.
pub(super) fn headers(step: &Value) -> HeaderMap {
    let given = step["headers"].as_object();
    given
        .into_iter()
        .flatten()
        .filter_map(|(name, value)| {
            let name = HeaderName::try_from(name.as_str()).ok()?;
            Some((name, HeaderValue::from_str(value.as_str()?).ok()?))
        })
        .collect()
}

/// Method and URL of a step's request. A URL that is none is one that says nothing.
pub(super) fn target(step: &Value) -> (Method, Uri) {
    let method = step["method"].as_str().unwrap_or("GET");
    let method = Method::from_bytes(method.as_bytes()).unwrap_or_default();
    let uri = step["url"].as_str().and_then(|url| url.parse().ok());
    (method, uri.unwrap_or_default())
}

pub(super) fn shown(headers: &HeaderMap) -> Value {
    let mut pairs: Vec<[String; 2]> = headers
        .iter()
        .map(|(name, value)| {
            [
                name.as_str().to_owned(),
                String::from_utf8_lossy(value.as_bytes()).into_owned(),
            ]
        })
        .collect();
    pairs.sort();
    json!({ "headers": pairs })
}

/// Whether Python's class of these credentials has no such method.
fn lacks(kind: CredentialsKind, op: &str) -> bool {
    let is_user = matches!(
        kind,
        CredentialsKind::AuthorizedUser | CredentialsKind::ExternalAccountAuthorizedUser
    );
    match op {
        "with_scopes" => is_user || kind == CredentialsKind::Downscoped,
        "with_universe_domain" => kind == CredentialsKind::ImpersonatedServiceAccount,
        _ => false,
    }
}
