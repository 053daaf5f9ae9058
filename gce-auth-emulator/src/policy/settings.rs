//! What the cloud beside the metadata server knows: accounts, users, pools, and who may impersonate
//! which account.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use crate::policy::{
    principal::{Principal, unique_id},
    providers::{self, Compiled, Provider},
    users::User,
};

/// The provider that always exists, below the project: it trusts the emulator's own issuer.
pub(crate) const OWN_PROVIDER: &str =
    "locations/global/workloadIdentityPools/emulator/providers/emulator";

/// The greatest number that JSON readers agree on (RFC 8259, section 6).
const GREATEST: u64 = (1 << 53) - 1;

/// Settings as they are written in code, in a file, or in a control request.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct CloudConfig {
    /// `None` if the text does not say; never in [`Settings`].
    #[serde(deserialize_with = "said")]
    pub(crate) strict: Option<bool>,
    /// Service accounts that exist without being attached to the machine.
    pub(crate) accounts: Vec<String>,
    /// Accounts whose tokens may live up to 12 hours in strict mode.
    pub(crate) lifetime_extension: Vec<String>,
    pub(crate) organization_number: Option<u64>,
    pub(crate) users: Vec<User>,
    pub(crate) providers: Vec<Provider>,
    pub(crate) impersonation: Vec<Impersonation>,
}

/// That one may create tokens and signatures for another.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Impersonation {
    /// A member of an IAM policy, an email, or `*`.
    pub(crate) member: String,
    /// The service account's email, or `*`.
    pub(crate) target: String,
}

impl CloudConfig {
    /// Reads settings in JSON.
    pub(crate) fn parse(json: &str) -> Result<Self, String> {
        // Serde would take a list of the values, too.
        let object: Map<String, Value> =
            serde_json::from_str(json).map_err(|_| "the settings must be a JSON object")?;
        serde_json::from_value(object.into()).map_err(|error| error.to_string())
    }

    /// Both together; of a single value, a provider's name and a refresh token the later one
    /// counts.
    pub(crate) fn and(mut self, later: Self) -> Self {
        let is_later = |user: &User| later.users.iter().any(|it| it.is(user));
        self.users.retain(|user| !is_later(user));
        let is_later = |provider: &Provider| later.providers.iter().any(|it| it.is(provider));
        self.providers.retain(|provider| !is_later(provider));
        self.accounts.extend(later.accounts);
        self.lifetime_extension.extend(later.lifetime_extension);
        self.users.extend(later.users);
        self.providers.extend(later.providers);
        self.impersonation.extend(later.impersonation);
        self.strict = later.strict.or(self.strict);
        self.organization_number = later.organization_number.or(self.organization_number);
        self
    }

    pub(crate) fn compile(mut self) -> Result<Settings, String> {
        if self
            .organization_number
            .is_some_and(|number| number > GREATEST)
        {
            return Err(format!("organizationNumber must be at most {GREATEST}"));
        }
        self.strict.get_or_insert(false);
        let mut providers = Vec::with_capacity(self.providers.len());
        for provider in std::mem::take(&mut self.providers) {
            providers.push(provider.compile()?);
        }
        Ok(Settings {
            config: self,
            providers,
        })
    }
}

/// A switch that is in the text: `null` is none.
fn said<'de, D: Deserializer<'de>>(value: D) -> Result<Option<bool>, D::Error> {
    bool::deserialize(value).map(Some)
}

/// Settings that were understood.
#[derive(Clone, Default)]
pub(crate) struct Settings {
    /// Without its providers.
    config: CloudConfig,
    providers: Vec<Compiled>,
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("config", &self.config)
            .field("providers", &self.providers)
            .finish()
    }
}

impl Settings {
    pub(crate) fn config(&self) -> CloudConfig {
        CloudConfig {
            providers: self
                .providers
                .iter()
                .map(|provider| provider.config().clone())
                .collect(),
            ..self.config.clone()
        }
    }

    pub(crate) fn is_strict(&self) -> bool {
        self.config.strict == Some(true)
    }

    pub(crate) fn organization_number(&self) -> Option<u64> {
        self.config.organization_number
    }

    /// The user whose refresh token this is.
    pub(crate) fn user(&self, refresh_token: &str) -> Option<User> {
        self.users()
            .into_iter()
            .find(|user| user.refresh_token == refresh_token)
    }

    /// Those configured, else the one that every emulator has.
    pub(crate) fn users(&self) -> Vec<User> {
        if self.config.users.is_empty() {
            return vec![User::built_in()];
        }
        self.config.users.clone()
    }

    /// The provider that a token exchange names. Unless strict, each pool trusts the emulator's own
    /// issuer.
    pub(crate) fn provider(&self, name: &str, own_issuer: &str) -> Option<Compiled> {
        let configured = self
            .providers
            .iter()
            .find(|provider| provider.name() == name);
        if let Some(provider) = configured {
            return (!provider.is_disabled()).then(|| provider.clone());
        }
        let own = name
            .strip_prefix("projects/")
            .and_then(|rest| rest.split_once('/'))
            .is_some_and(|(_, rest)| rest == OWN_PROVIDER);
        if self.is_strict() && !own {
            return None;
        }
        Provider::oidc(name, own_issuer).compile().ok()
    }

    /// The pool of a provider's name, if the name has the form of one.
    pub(crate) fn is_provider_name(name: &str) -> bool {
        providers::pool_of(name).is_some()
    }

    /// The email of an account that exists without being attached to the machine, by email or
    /// unique id. Unless strict, each email of Google's domain of service accounts is one.
    pub(crate) fn account(&self, name: &str) -> Option<String> {
        let listed = |email: &&String| *email == name || unique_id(email) == name;
        if let Some(email) = self.config.accounts.iter().find(listed) {
            return Some(email.clone());
        }
        let service_account = name.split_once('@').is_some_and(|(local, domain)| {
            !local.is_empty() && domain.ends_with(".gserviceaccount.com")
        });
        (service_account && !self.is_strict()).then(|| name.to_owned())
    }

    /// Whether a principal may create tokens and signatures for a service account. All may if no
    /// grant is configured.
    pub(crate) fn may_impersonate(&self, principal: &Principal, target: &str) -> bool {
        self.config.impersonation.is_empty()
            || self.config.impersonation.iter().any(|grant| {
                (grant.target == "*" || grant.target == target) && principal.is(&grant.member)
            })
    }

    /// Whether the tokens of an account may live up to 12 hours.
    pub(crate) fn extends_lifetime(&self, account: &str) -> bool {
        !self.is_strict()
            || self
                .config
                .lifetime_extension
                .iter()
                .any(|email| email == account)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grants_say_who_may_impersonate_whom() {
        let account = Principal::service_account("a@p.iam.gserviceaccount.com");
        let user = Principal::user("u@example.com");
        assert!(Settings::default().may_impersonate(&user, "b@p"));
        let grant = |member: &str, target: &str| Impersonation {
            member: member.into(),
            target: target.into(),
        };
        let config = CloudConfig {
            impersonation: vec![grant("user:u@example.com", "b@p"), grant("*", "c@p")],
            ..CloudConfig::default()
        };
        let config = config.compile().unwrap();
        assert!(config.may_impersonate(&user, "b@p") && !config.may_impersonate(&account, "b@p"));
        assert!(config.may_impersonate(&account, "c@p") && !config.may_impersonate(&user, "d@p"));
    }

    #[test]
    fn strict_knows_only_what_was_configured() {
        let name = "projects/1/locations/global/workloadIdentityPools/p/providers/q";
        let mut form = CloudConfig {
            accounts: vec!["b@example.com".into()],
            ..CloudConfig::default()
        };
        let lenient = form.clone().compile().unwrap();
        assert!(lenient.account("x@p.iam.gserviceaccount.com").is_some());
        assert!(
            lenient.account("x@p").is_none() && lenient.account("@x.gserviceaccount.com").is_none()
        );
        assert_eq!(
            lenient.account(&unique_id("b@example.com")).as_deref(),
            Some("b@example.com")
        );
        assert!(lenient.provider(name, "own").is_some() && lenient.extends_lifetime("a"));
        form.strict = Some(true);
        let strict = form.compile().unwrap();
        assert!(strict.account("x@p.iam.gserviceaccount.com").is_none());
        assert!(strict.account("b@example.com").is_some());
        let own = format!("projects/1/{OWN_PROVIDER}");
        assert!(strict.provider(&own, "own").is_some());
        assert!(strict.provider(name, "own").is_none() && !strict.extends_lifetime("a"));
    }

    #[test]
    fn settings_are_read_as_they_are_shown() {
        let text = r#"{"strict":true,"accounts":[],"lifetimeExtension":[],"organizationNumber":7,"users":[],
            "providers":[{"name":"locations/global/workforcePools/p/providers/q","issuerUri":"i","attributeMapping":{"google.subject":"assertion.sub"}}],
            "impersonation":[{"member":"*","target":"a"}]}"#;
        let config: CloudConfig = serde_json::from_str(text).unwrap();
        let shown = serde_json::to_value(config.compile().unwrap().config()).unwrap();
        let read: Value = serde_json::from_str(text).unwrap();
        assert_eq!(shown, read);
        assert!(serde_json::from_str::<CloudConfig>(r#"{"strikt":true}"#).is_err());
        assert!(CloudConfig::parse(r#"{"strict":null}"#).is_err());
        let number = |number: u64| {
            let text = format!(r#"{{"organizationNumber":{number}}}"#);
            CloudConfig::parse(&text).and_then(CloudConfig::compile)
        };
        assert!(number(GREATEST).is_ok());
        let why = number(GREATEST + 1).unwrap_err();
        assert!(why.contains("organizationNumber must be at most"), "{why}");
    }
}
