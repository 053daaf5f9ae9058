//! What a caller asked for of values, and what the agent itself says in place of the source.

use std::sync::Arc;

use gce_auth_server::protocol::{query::Reading, route::Target};
use serde_json::{Value, json};

use crate::policy::Grant;

/// A value or directory that was asked for, and may be had.
pub(crate) struct AskedValue {
    pub(crate) path: String,
    pub(crate) reading: Reading,
    pub(crate) target: Target,
    pub(crate) grant: Grant,
    pub(crate) email: Option<Arc<str>>,
}

impl AskedValue {
    /// Whether nothing but the value now is asked for, and the source has it.
    pub(crate) fn is_plain(&self) -> bool {
        self.reading.wait.is_none() && self.below_accounts().is_none()
    }

    /// Under a rule with `as`: what stands at this path, if it is about accounts.
    pub(crate) fn own_account(&self) -> Option<Value> {
        self.grant.act_as.as_ref()?;
        let mut steps = self.below_accounts()?;
        let accounts = self.accounts();
        match (steps.next(), steps.next(), steps.next()) {
            (None, ..) => Some(accounts),
            (Some(_), None, _) => Some(accounts["default"].clone()),
            // What isn't there is null, and answered so.
            (Some(_), Some(leaf), None) => Some(accounts["default"][leaf].clone()),
            _ => Some(Value::Null),
        }
    }

    /// Under a rule with `scopes`: what an account's `scopes` say, if this is the path of some.
    pub(crate) fn own_scopes(&self) -> Option<Value> {
        let scopes = self.grant.scopes.as_ref()?;
        let mut steps = self.below_accounts()?;
        let is_of_scopes = steps.nth(1) == Some("scopes") && steps.next().is_none();
        is_of_scopes.then(|| json!(scopes))
    }

    /// The names of the path behind the directory of accounts.
    fn below_accounts(&self) -> Option<impl Iterator<Item = &str>> {
        let mut steps = self.path.split('/');
        let is_below = steps.next() == Some("instance") && steps.next() == Some("service-accounts");
        is_below.then_some(steps)
    }

    /// The accounts that a caller sees under a rule with `as`.
    pub(crate) fn accounts(&self) -> Value {
        let email = self.grant.act_as.as_deref().unwrap_or_default();
        let cloud_platform = || vec!["https://www.googleapis.com/auth/cloud-platform".to_owned()];
        let scopes = self.grant.scopes.clone().unwrap_or_else(cloud_platform);
        let account = json!({"aliases": ["default"], "email": email, "scopes": scopes});
        json!({"default": account, email: account})
    }
}
