//! An account of AWS that a provider trusts, and the access keys that it has.

use std::fmt;

use serde::{Deserialize, Serialize};

/// An access key of AWS, as its Security Token Service knows it: a request that it signs is of the
/// user or the session `arn`.
///
/// ```
/// use gce_auth_emulator::{AwsKey, Emulator, Provider};
///
/// let key = AwsKey::new("ASIAEXAMPLE", "secret", "arn:aws:sts::123456789012:assumed-role/ci/i-1")
///     .session_token("session");
/// let provider = Provider::aws(
///     "projects/123456/locations/global/workloadIdentityPools/aws/providers/aws",
///     "123456789012",
/// )
/// .access_key(key);
/// let emulator = Emulator::builder().provider(provider).start()?;
/// # Ok::<(), gce_auth_emulator::StartError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AwsKey {
    pub(crate) access_key_id: String,
    pub(crate) secret_access_key: String,
    pub(crate) arn: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) session_token: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    user_id: Option<String>,
}

impl AwsKey {
    /// Makes a key without a session token, as users have it.
    #[must_use]
    pub fn new(id: impl Into<String>, secret: impl Into<String>, arn: impl Into<String>) -> Self {
        Self {
            access_key_id: id.into(),
            secret_access_key: secret.into(),
            arn: arn.into(),
            session_token: None,
            user_id: None,
        }
    }

    /// Sets the session token that each request must have, as roles have it.
    #[must_use]
    pub fn session_token(mut self, token: impl Into<String>) -> Self {
        self.session_token = Some(token.into());
        self
    }

    /// Sets `assertion.userid`. Default: the id of the key.
    #[must_use]
    pub fn user_id(mut self, id: impl Into<String>) -> Self {
        self.user_id = Some(id.into());
        self
    }

    /// The account in the ARN: `arn:PARTITION:SERVICE:REGION:ACCOUNT:RESOURCE`.
    pub(crate) fn account(&self) -> Option<&str> {
        let mut parts = self.arn.split(':');
        let account = (parts.next()? == "arn").then(|| parts.nth(3)).flatten()?;
        parts.next()?;
        let is_number = account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then_some(account)
    }

    pub(crate) fn user(&self) -> &str {
        self.user_id.as_deref().unwrap_or(&self.access_key_id)
    }
}

impl fmt::Debug for AwsKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AwsKey")
            .field("access_key_id", &self.access_key_id)
            .field("arn", &self.arn)
            .finish_non_exhaustive()
    }
}

/// The account that a provider trusts.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct AwsAccount {
    pub(crate) account_id: String,
    #[serde(default)]
    pub(crate) access_keys: Vec<AwsKey>,
}

impl AwsAccount {
    /// What is wrong with the account, if anything.
    pub(crate) fn check(&self) -> Result<(), String> {
        match self.access_keys.iter().find(|key| key.account().is_none()) {
            Some(key) => Err(format!(
                "`{}` is no ARN of an identity of AWS, like arn:aws:iam::123456789012:user/ada",
                key.arn
            )),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arn_names_its_account() {
        let account = |arn: &str| {
            AwsKey::new("id", "secret", arn)
                .account()
                .map(str::to_owned)
        };
        assert_eq!(
            account("arn:aws:sts::123456789012:assumed-role/ci/i-1").as_deref(),
            Some("123456789012")
        );
        for arn in [
            "",
            "arn:aws:iam::12:user/a",
            "arn:aws:iam::123456789012",
            "x:aws:iam::123456789012:u",
        ] {
            assert_eq!(account(arn), None, "{arn}");
        }
    }

    #[test]
    fn debug_shows_no_secret() {
        let key = AwsKey::new("AKIA", "hidden", "arn").session_token("hidden");
        let shown = format!("{key:?}");
        assert!(
            shown.contains("AKIA") && !shown.contains("hidden"),
            "{shown}"
        );
    }
}
