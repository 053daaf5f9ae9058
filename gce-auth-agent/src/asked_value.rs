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
        self.reading.wait.is_none() && self.own_account().is_none()
    }

    /// Under a rule with `as`: what stands at this path, if it is about accounts.
    pub(crate) fn own_account(&self) -> Option<Value> {
        self.grant.act_as.as_ref()?;
        let below = self.path.strip_prefix("instance/service-accounts")?;
        let accounts = self.accounts();
        let mut steps = below.split('/').skip(1);
        match (steps.next(), steps.next(), steps.next()) {
            (None, ..) => Some(accounts),
            (Some(_), None, _) => Some(accounts["default"].clone()),
            // What isn't there is null, and answered so.
            (Some(_), Some(leaf), None) => Some(accounts["default"][leaf].clone()),
            _ => Some(Value::Null),
        }
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
