//! Service accounts: as a builder takes them, and as the document holds them.

use gce_auth_server::protocol::tree::Node;
use serde_json::{Map, Value, json};

use crate::policy::principal::unique_id;

/// The scope that covers every Google Cloud API.
pub(crate) const CLOUD_PLATFORM: &str = "https://www.googleapis.com/auth/cloud-platform";

/// What the names of workload identity pools end with.
const POOL: &str = ".svc.id.goog";

/// A service account that the emulated machine has.
///
/// ```
/// use gce_auth_emulator::Account;
///
/// let account = Account::new("robot@my-project.iam.gserviceaccount.com")
///     .scopes(["https://www.googleapis.com/auth/devstorage.read_only"])
///     .alias("robot");
/// # let _ = account;
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    email: String,
    scopes: Vec<String>,
    aliases: Vec<String>,
    refusal: Option<Refusal>,
    public_keys: Vec<String>,
}

/// Why IAM gives no tokens for an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The caller may not use it.
    Denied,
    /// It does not exist.
    Missing,
}

impl Account {
    /// Returns an account with this email and the scope `cloud-platform`.
    #[must_use]
    pub fn new(email: impl Into<String>) -> Self {
        Self {
            email: email.into(),
            scopes: vec![CLOUD_PLATFORM.into()],
            aliases: Vec::new(),
            refusal: None,
            public_keys: Vec::new(),
        }
    }

    /// Returns a Kubernetes service account on GKE that is not tied to a Google service account:
    /// its name is `PROJECT.svc.id.goog`, its access tokens are federated ones, and it has no
    /// identity tokens: asking for one is 404 with a text that says so.
    #[must_use]
    pub fn workload_pool(project_id: impl AsRef<str>) -> Self {
        Self::new(format!("{}{POOL}", project_id.as_ref()))
    }

    /// Sets whether IAM refuses tokens for this account: asking for one is 403 then, with the text
    /// of GKE's metadata server, as for a Kubernetes service account that may not act as the
    /// Google service account it names. Default: false. `true` replaces
    /// [`missing`](Self::missing).
    #[must_use]
    pub fn denied(self, denied: bool) -> Self {
        self.refused(Refusal::Denied, denied)
    }

    /// Sets whether the account is one that is named but does not exist: asking for a token is 404
    /// then, with the text of GKE's metadata server. Default: false. `true` replaces
    /// [`denied`](Self::denied).
    #[must_use]
    pub fn missing(self, missing: bool) -> Self {
        self.refused(Refusal::Missing, missing)
    }

    fn refused(mut self, refusal: Refusal, refused: bool) -> Self {
        if refused {
            self.refusal = Some(refusal);
        } else if self.refusal == Some(refusal) {
            self.refusal = None;
        }
        self
    }

    /// Adds a public key that was uploaded to the account, as `-----BEGIN PUBLIC KEY-----` in PEM,
    /// RSA or on P-256: the token endpoint takes assertions of this account that the private
    /// key signed with RS256 or ES256, besides those that the emulator signed.
    #[must_use]
    pub fn public_key(mut self, pem: impl Into<String>) -> Self {
        self.public_keys.push(pem.into());
        self
    }

    /// The public keys that were uploaded to the account of this email.
    pub(crate) fn public_keys<'a>(accounts: &'a [Self], email: &str) -> &'a [String] {
        accounts
            .iter()
            .find(|account| account.email == email)
            .map_or(&[], |account| &account.public_keys)
    }

    /// Why there are no tokens for an account of this email.
    pub(crate) fn refusal(accounts: &[Self], email: &str) -> Option<Refusal> {
        accounts
            .iter()
            .find(|account| account.email == email)
            .and_then(|account| account.refusal)
    }

    /// Sets the scopes that the machine was given for this account. Default: `cloud-platform`.
    ///
    /// Without any scope the account has no token, as on a real machine.
    #[must_use]
    pub fn scopes<S: Into<String>>(mut self, scopes: impl IntoIterator<Item = S>) -> Self {
        self.scopes = scopes.into_iter().map(Into::into).collect();
        self
    }

    /// Adds one more name under which the account can be asked for. The first account of a machine
    /// has the alias `default` anyway.
    #[must_use]
    pub fn alias(mut self, alias: impl Into<String>) -> Self {
        self.aliases.push(alias.into());
        self
    }

    /// The accounts as the document has them: each under its email, the first under `default` too.
    pub(crate) fn document(accounts: &[Self]) -> Value {
        let mut map = Map::new();
        for (index, account) in accounts.iter().enumerate() {
            let mut aliases = account.aliases.clone();
            if index == 0 {
                aliases.insert(0, "default".into());
            }
            let value = json!({
                "aliases": aliases,
                "email": account.email,
                "scopes": account.scopes,
            });
            if index == 0 {
                map.insert("default".into(), value.clone());
            }
            map.insert(account.email.clone(), value);
        }
        Value::Object(map)
    }
}

/// An account as it stands in the document now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) email: String,
    pub(crate) scopes: Vec<String>,
}

impl Identity {
    /// The account of this key, email or alias.
    pub(crate) fn find(document: &Value, name: &str) -> Option<Self> {
        let path = ["instance", "service-accounts", name];
        Self::read(Node::find(document, path)?.value)
    }

    /// The account of this email or unique id, as the IAM API knows it.
    pub(crate) fn find_by_email(document: &Value, name: &str) -> Option<Self> {
        document["instance"]["serviceAccounts"]
            .as_object()?
            .values()
            .filter_map(Self::read)
            .find(|account| account.email == name || account.unique_id() == name)
    }

    fn read(account: &Value) -> Option<Self> {
        Some(Self {
            email: account["email"].as_str()?.into(),
            scopes: account["scopes"]
                .as_array()
                .map(|scopes| {
                    scopes
                        .iter()
                        .filter_map(Value::as_str)
                        .map(Into::into)
                        .collect()
                })
                .unwrap_or_default(),
        })
    }

    /// Whether it stands for a workload that is tied to no Google service account.
    pub(crate) fn is_pool(&self) -> bool {
        self.email.ends_with(POOL)
    }

    /// The 21 digits that stand for the account in tokens; the same for the same email.
    pub(crate) fn unique_id(&self) -> String {
        unique_id(&self.email)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_account_is_the_default() {
        let document = json!({"instance": {"serviceAccounts": Account::document(&[
            Account::new("a@p").scopes(["s"]),
            Account::new("b@p").alias("bee"),
        ])}});
        let email = |name: &str| Identity::find(&document, name).map(|account| account.email);
        assert_eq!(email("default").as_deref(), Some("a@p"));
        assert_eq!(email("a@p").as_deref(), Some("a@p"));
        assert_eq!(email("bee").as_deref(), Some("b@p"));
        assert_eq!(email("c@p"), None);
    }

    #[test]
    fn a_refusal_is_taken_back_by_its_own_switch_alone() {
        let account = || Account::new("a@p").missing(true).denied(true);
        assert_eq!(account().refusal, Some(Refusal::Denied));
        assert_eq!(account().missing(false).refusal, Some(Refusal::Denied));
        assert_eq!(account().denied(false).refusal, None);
    }

    #[test]
    fn a_unique_id_has_21_digits_and_finds_its_account() {
        let document =
            json!({"instance": {"serviceAccounts": Account::document(&[Account::new("a@p")])}});
        let id = Identity::find(&document, "default").unwrap().unique_id();
        assert_eq!(id.len(), 21);
        assert!(id.bytes().all(|byte| byte.is_ascii_digit()));
        assert_eq!(
            Identity::find_by_email(&document, &id).unwrap().email,
            "a@p"
        );
        assert_eq!(Identity::find_by_email(&document, "default"), None);
    }
}
