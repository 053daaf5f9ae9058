//! Providers of workload and workforce identity pools: whose credentials they take, and what they
//! make of them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::policy::{
    aws::{AwsAccount, AwsKey},
    expression::Expression,
    principal::Federated,
};

/// The longest `google.subject`, in bytes.
const LONGEST_SUBJECT: usize = 127;

const SUBJECT: &str = "google.subject";

/// What Google maps for AWS where nothing else is configured.
const AWS_ROLE: &str = "attribute.aws_role";
const ROLE_OF_ARN: &str = "assertion.arn.contains('assumed-role') ? \
     assertion.arn.extract('{account_arn}assumed-role/') + 'assumed-role/' + \
     assertion.arn.extract('assumed-role/{role_name}/') : assertion.arn";

/// A provider of a workload identity pool or a workforce pool, which trusts an OpenID Connect
/// issuer or an account of AWS.
///
/// ```
/// use gce_auth_emulator::{Emulator, Provider};
///
/// let provider = Provider::oidc(
///     "projects/123456/locations/global/workloadIdentityPools/ci/providers/github",
///     "https://token.actions.githubusercontent.com",
/// )
/// .jwks(r#"{"keys": []}"#)
/// .map("attribute.repository", "assertion.repository")
/// .condition("assertion.repository_owner == 'me'");
/// let emulator = Emulator::builder().provider(provider).start()?;
/// # Ok::<(), gce_auth_emulator::StartError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Provider {
    name: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    issuer_uri: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    aws: Option<AwsAccount>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    jwks_json: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    allowed_audiences: Vec<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    attribute_mapping: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    attribute_condition: Option<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    disabled: bool,
}

impl Provider {
    /// Makes a provider of this resource name, as in the `audience` of token exchanges but without
    /// `//iam.googleapis.com/`:
    /// `projects/NUMBER/locations/global/workloadIdentityPools/POOL/providers/PROVIDER` or
    /// `locations/global/workforcePools/POOL/providers/PROVIDER`.
    ///
    /// Credentials must have this issuer (`iss`). By default the emulator's own keys verify them,
    /// they must be for the provider (`aud` is `https://iam.googleapis.com/NAME` or
    /// `//iam.googleapis.com/NAME`), and `google.subject` is `assertion.sub`. `signJwt` of any
    /// account signs such credentials, but for Google's own issuer in strict mode.
    #[must_use]
    pub fn oidc(name: impl Into<String>, issuer: impl Into<String>) -> Self {
        Self {
            issuer_uri: issuer.into(),
            ..Self::new(name)
        }
    }

    /// Makes a provider that trusts an account of AWS, by its number.
    ///
    /// Credentials are requests for `GetCallerIdentity` that a key of this provider signed
    /// ([`access_key`](Self::access_key)). By default `google.subject` is `assertion.arn` and
    /// `attribute.aws_role` the ARN without the name of the session, as Google sets them.
    #[must_use]
    pub fn aws(name: impl Into<String>, account_id: impl Into<String>) -> Self {
        Self {
            aws: Some(AwsAccount {
                account_id: account_id.into(),
                access_keys: Vec::new(),
            }),
            ..Self::new(name)
        }
    }

    fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            issuer_uri: String::new(),
            aws: None,
            jwks_json: None,
            allowed_audiences: Vec::new(),
            attribute_mapping: BTreeMap::new(),
            attribute_condition: None,
            disabled: false,
        }
    }

    /// Adds an access key that AWS knows, of the trusted account or another one. Call again to add
    /// more. Without effect unless the provider is one of AWS.
    #[must_use]
    pub fn access_key(mut self, key: AwsKey) -> Self {
        if let Some(aws) = &mut self.aws {
            aws.access_keys.push(key);
        }
        self
    }

    /// Sets the issuer's keys, a JWK set in JSON: RSA for RS256, P-256 for ES256. The emulator
    /// never fetches keys.
    #[must_use]
    pub fn jwks(mut self, json: impl Into<String>) -> Self {
        self.jwks_json = Some(json.into());
        self
    }

    /// Accepts this audience (`aud`) in place of the default ones. Call again to accept more.
    #[must_use]
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.allowed_audiences.push(audience.into());
        self
    }

    /// Maps an attribute (`google.subject`, `google.groups`, `attribute.NAME`) from an expression
    /// in the Common Expression Language over `assertion`, the claims of the credential.
    #[must_use]
    pub fn map(mut self, attribute: impl Into<String>, expression: impl Into<String>) -> Self {
        self.attribute_mapping
            .insert(attribute.into(), expression.into());
        self
    }

    /// Accepts only credentials for which this expression over `assertion`, `google` and
    /// `attribute` is true.
    #[must_use]
    pub fn condition(mut self, expression: impl Into<String>) -> Self {
        self.attribute_condition = Some(expression.into());
        self
    }

    /// Sets whether every exchange is refused, as by a provider that was disabled or deleted.
    /// Tokens issued before stay good. Default: false.
    #[must_use]
    pub fn disabled(mut self, disabled: bool) -> Self {
        self.disabled = disabled;
        self
    }

    /// Whether both have one name.
    pub(crate) fn is(&self, other: &Self) -> bool {
        self.name == other.name
    }

    pub(crate) fn compile(self) -> Result<Compiled, String> {
        let pool = pool_of(&self.name)
            .ok_or_else(|| {
                format!(
                    "`{}` is no name of a provider, like \
                     projects/NUMBER/locations/global/workloadIdentityPools/POOL/providers/PROVIDER",
                    self.name
                )
            })?
            .to_owned();
        let parse = |what: &str, text: &str| {
            Expression::parse(text).map_err(|why| format!("{what} of {}: {why}", self.name))
        };
        match &self.aws {
            Some(aws) if self.issuer_uri.is_empty() => aws.check()?,
            None if !self.issuer_uri.is_empty() => {}
            _ => return Err(format!("{} has one of `issuerUri` and `aws`", self.name)),
        }
        let mut mapping = Vec::with_capacity(self.attribute_mapping.len() + 1);
        for (attribute, expression) in &self.attribute_mapping {
            let known = matches!(attribute.as_str(), SUBJECT | "google.groups")
                || attribute
                    .strip_prefix("attribute.")
                    .is_some_and(|name| !name.is_empty());
            if !known {
                return Err(format!("`{attribute}` is no attribute of a provider"));
            }
            mapping.push((attribute.clone(), parse(attribute, expression)?));
        }
        if !mapping.iter().any(|(attribute, _)| attribute == SUBJECT) {
            let subject = self
                .aws
                .as_ref()
                .map_or("assertion.sub", |_| "assertion.arn");
            mapping.insert(0, (SUBJECT.into(), parse(SUBJECT, subject)?));
        }
        if self.aws.is_some() && self.attribute_mapping.is_empty() {
            mapping.push((AWS_ROLE.into(), parse(AWS_ROLE, ROLE_OF_ARN)?));
        }
        let condition = match &self.attribute_condition {
            Some(text) => Some(parse("the condition", text)?),
            None => None,
        };
        let keys = match &self.jwks_json {
            None => None,
            Some(text) => match serde_json::from_str::<Value>(text) {
                Ok(set) if set["keys"].is_array() => Some(set),
                _ => return Err(format!("the keys of {} are no JWK set", self.name)),
            },
        };
        Ok(Compiled {
            pool,
            mapping,
            condition,
            keys,
            config: self,
        })
    }
}

/// The pool in the name of a provider.
pub(crate) fn pool_of(name: &str) -> Option<&str> {
    let segments: Vec<&str> = name.split('/').collect();
    if segments.iter().any(|segment| segment.is_empty()) {
        return None;
    }
    match segments.as_slice() {
        [
            "projects",
            _,
            "locations",
            _,
            "workloadIdentityPools",
            _,
            "providers",
            _,
        ]
        | ["locations", _, "workforcePools", _, "providers", _] => {
            Some(name.rsplit_once("/providers/")?.0)
        }
        _ => None,
    }
}

/// A provider whose expressions and keys were understood.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Compiled {
    config: Provider,
    pool: String,
    mapping: Vec<(String, Expression)>,
    condition: Option<Expression>,
    keys: Option<Value>,
}

impl Compiled {
    pub(crate) fn config(&self) -> &Provider {
        &self.config
    }

    pub(crate) fn name(&self) -> &str {
        &self.config.name
    }

    pub(crate) fn issuer(&self) -> &str {
        &self.config.issuer_uri
    }

    /// The account of AWS that is trusted; `None` for an OpenID Connect issuer.
    pub(crate) fn aws(&self) -> Option<&AwsAccount> {
        self.config.aws.as_ref()
    }

    pub(crate) fn is_disabled(&self) -> bool {
        self.config.disabled
    }

    /// The issuer's keys; `None` is the emulator's own.
    pub(crate) fn keys(&self) -> Option<&Value> {
        self.keys.as_ref()
    }

    /// Whether the credential is for this provider.
    pub(crate) fn is_audience(&self, audience: &str) -> bool {
        if !self.config.allowed_audiences.is_empty() {
            return self
                .config
                .allowed_audiences
                .iter()
                .any(|of| of == audience);
        }
        let rest = audience.strip_prefix("https:").unwrap_or(audience);
        rest.strip_prefix("//iam.googleapis.com/") == Some(self.name())
    }

    /// The identity that a verified credential stands for; or why there is none.
    pub(crate) fn identity(&self, assertion: &Value) -> Result<Federated, MappingError> {
        let mut variables = json!({"assertion": assertion, "google": {}, "attribute": {}});
        let mut identity = Federated {
            pool: self.pool.clone(),
            subject: String::new(),
            groups: Vec::new(),
            attributes: Vec::new(),
        };
        for (attribute, expression) in &self.mapping {
            let value = expression.evaluate(&variables);
            let unmapped = || MappingError::Unmapped(attribute.clone());
            match (attribute.as_str(), value) {
                (SUBJECT, Ok(Value::String(subject))) if !subject.is_empty() => {
                    if subject.len() > LONGEST_SUBJECT {
                        return Err(MappingError::SubjectTooLong);
                    }
                    variables["google"]["subject"] = subject.clone().into();
                    identity.subject = subject;
                }
                ("google.groups", Ok(Value::Array(groups))) => {
                    identity.groups = groups
                        .iter()
                        .map(|group| group.as_str().map(Into::into).ok_or_else(unmapped))
                        .collect::<Result<_, _>>()?;
                    variables["google"]["groups"] = groups.into();
                }
                (SUBJECT | "google.groups", _) => return Err(unmapped()),
                // An attribute that the credential does not have is absent.
                (_, Err(_)) => {}
                (name, Ok(value)) => {
                    let name = name.trim_start_matches("attribute.").to_owned();
                    let text = match value {
                        Value::String(text) => text,
                        other => other.to_string(),
                    };
                    variables["attribute"][&name] = text.clone().into();
                    identity.attributes.push((name, text));
                }
            }
        }
        match &self.condition {
            Some(condition) if !condition.holds(&variables) => Err(MappingError::Condition),
            _ => Ok(identity),
        }
    }
}

/// Why a verified credential gives no identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum MappingError {
    Condition,
    Unmapped(String),
    SubjectTooLong,
}

#[cfg(test)]
mod tests;
