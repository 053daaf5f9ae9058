//! What a rule allows: accounts, scopes, audiences, and what may be seen of the metadata.

use super::{Grant, Limits, Topic, concealed, glob::Glob, rule::Allow};

/// The directory of the accounts. `accounts` governs it, `metadata` does not.
const ACCOUNTS: &str = "instance/service-accounts";

/// What is a directory on every machine. Clients ask for one without its slash to see whether they
/// are on Google Cloud, and are led to it.
const DIRECTORIES: [&str; 11] = [
    "instance",
    "instance/attributes",
    "instance/disks",
    "instance/guest-attributes",
    "instance/licenses",
    "instance/network-interfaces",
    "instance/scheduling",
    "instance/virtual-clock",
    "project",
    "project/attributes",
    "universe",
];

impl Allow {
    /// Allows no more than the limits.
    pub(super) fn limit(&mut self, limits: &Limits) {
        self.act_as = self.act_as.take().or_else(|| limits.act_as.clone());
        self.boundary = self.boundary.take().or_else(|| limits.boundary.clone());
        let lifetimes = [self.max_lifetime, limits.max_lifetime];
        self.max_lifetime = lifetimes.into_iter().flatten().min();
        self.scopes = match (self.scopes.take(), &limits.scopes) {
            (Some(own), Some(limit)) => {
                Some(own.into_iter().filter(|it| limit.contains(it)).collect())
            }
            (own, limit) => own.or_else(|| limit.clone()),
        };
    }

    /// The limits within which a request is served.
    pub(super) fn grant(&self, topic: &Topic) -> Grant {
        let (account, scopes) = match topic {
            Topic::Token { account, scopes } => (
                Some(account.as_str()),
                scopes.as_ref().or(self.scopes.as_ref()).cloned(),
            ),
            Topic::Identity { account, .. } => (Some(account.as_str()), None),
            // What an account's `scopes` say: clients ask for those.
            Topic::Value { .. } => (None, self.scopes.clone()),
            Topic::Home | Topic::Caller => (None, None),
        };
        let given = self.act_as.is_some() && account == self.act_as.as_deref();
        let first = || match self.accounts.as_deref() {
            Some([first, ..]) => first.as_str().into(),
            _ => "default".into(),
        };
        Grant {
            scopes,
            limits_scopes: self.scopes.is_some(),
            account: given.then(first),
            act_as: self.act_as.clone(),
            max_lifetime: self.max_lifetime,
            boundary: self.boundary.clone(),
        }
    }

    /// Returns why an account is refused; `None` if it is allowed.
    pub(super) fn refuses_account(&self, account: &str, email: Option<&str>) -> Option<String> {
        let allowed = self.allows_account(account, email);
        (!allowed).then(|| format!("the account {} is not allowed", quoted(account)))
    }

    /// `default` and the address of the default account are one account. So is, with `as`, the
    /// account that is given for all: clients ask for the tokens of the address that they have.
    fn allows_account(&self, account: &str, email: Option<&str>) -> bool {
        let Some(accounts) = &self.accounts else {
            return true;
        };
        let name = |account: &'_ str| match email {
            Some(email) if account == email => "default".to_owned(),
            _ => account.to_owned(),
        };
        let given = self.act_as.as_deref() == Some(account) && !accounts.is_empty();
        given
            || accounts
                .iter()
                .any(|allowed| name(allowed) == name(account))
    }

    /// Returns why scopes are refused. A request that names none gets those of the rule.
    pub(super) fn refuses_scopes(&self, asked: Option<&[String]>) -> Option<String> {
        let allowed = self.scopes.as_ref()?;
        if allowed.is_empty() {
            return Some("no access token is allowed".to_owned());
        }
        let beyond = asked?.iter().find(|scope| !allowed.contains(scope))?;
        Some(format!("the scope {} is not allowed", quoted(beyond)))
    }

    pub(super) fn refuses_audience(&self, audience: &str) -> Option<String> {
        let globs = self.audiences.as_ref()?;
        let allowed = globs.iter().any(|glob| glob.matches(audience));
        (!allowed).then(|| format!("the audience {} is not allowed", quoted(audience)))
    }

    pub(super) fn shows_value(&self, path: &str, email: Option<&str>) -> bool {
        match below_accounts(path) {
            Some("") => self.accounts.as_ref().is_none_or(|all| !all.is_empty()),
            Some(below) => {
                let (account, leaf) = below.split_once('/').unwrap_or((below, ""));
                // Tokens are asked for by requests of their own.
                let leaf = leaf.split('/').next().unwrap_or_default();
                self.allows_account(account, email) && !matches!(leaf, "token" | "identity")
            }
            None => {
                let key = concealed::key(path);
                match &self.metadata {
                    None => key.is_none(),
                    Some(globs) => globs.iter().any(|glob| glob.names(path, key)),
                }
            }
        }
    }

    /// Returns whether a path without a slash at its end is the way to a directory that is shown.
    pub(super) fn shows_way(&self, path: &str, email: Option<&str>) -> bool {
        DIRECTORIES.contains(&path) && self.shows_directory(path, email)
    }

    pub(super) fn shows_directory(&self, path: &str, email: Option<&str>) -> bool {
        let accounts = |all: &Vec<String>| !all.is_empty();
        let below = |globs: &Vec<Glob>| {
            let key = concealed::key(path);
            globs.iter().any(|glob| glob.reaches_below(path, key))
        };
        match below_accounts(path) {
            Some("") => self.accounts.as_ref().is_none_or(accounts),
            Some(_) => self.shows_value(path, email),
            None if path.is_empty() => {
                let values = self.metadata.as_ref().is_none_or(|globs| !globs.is_empty());
                values || self.accounts.as_ref().is_none_or(accounts)
            }
            None if path == "instance" => {
                self.accounts.as_ref().is_none_or(accounts)
                    || self.metadata.as_ref().is_none_or(below)
            }
            None => match &self.metadata {
                None => concealed::key(path).is_none(),
                Some(globs) => below(globs),
            },
        }
    }
}

/// What a path has behind the directory of the accounts: empty for that itself.
fn below_accounts(path: &str) -> Option<&str> {
    let below = path.strip_prefix(ACCOUNTS)?;
    below
        .is_empty()
        .then_some(below)
        .or_else(|| below.strip_prefix('/'))
}

/// What a caller sent, in one line and without markup.
fn quoted(text: &str) -> String {
    let plain = |letter: char| !letter.is_control() && !"<>&\"'`".contains(letter);
    let shown: String = text
        .chars()
        .filter(|letter| plain(*letter))
        .take(200)
        .collect();
    format!("{shown:?}")
}
