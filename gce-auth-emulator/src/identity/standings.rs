//! The accounts of the machine as tokens are made for them, found once for each version of the
//! document.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use crate::identity::{accounts::Identity, token_issuer::Holder};

/// How many names are remembered; beyond that all are forgotten.
const NAMES: usize = 1024;

/// An account, and what is the same for all tokens of it.
pub(crate) struct Standing {
    pub(crate) account: Identity,
    /// Of a token with all its scopes that is bound to no certificate.
    pub(crate) holder: Holder,
    /// Whether the scopes that a request asks for are enforced.
    pub(crate) enforced: bool,
}

impl Standing {
    pub(crate) fn new(account: Identity, enforced: bool) -> Self {
        Self {
            holder: Holder::new(&account, None),
            account,
            enforced,
        }
    }
}

/// What was found in one version of the document.
#[derive(Default)]
pub(crate) struct Standings(Mutex<Known>);

#[derive(Default)]
struct Known {
    version: u64,
    accounts: HashMap<String, Arc<Standing>>,
}

impl Standings {
    /// Returns the account of a name in this version of the document, or a later one, as `find`
    /// does.
    pub(crate) fn get(
        &self,
        version: u64,
        name: &str,
        find: impl FnOnce() -> Option<Standing>,
    ) -> Option<Arc<Standing>> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.version != version || known.accounts.len() >= NAMES {
            known.accounts.clear();
            known.version = version;
        }
        if let Some(standing) = known.accounts.get(name) {
            return Some(Arc::clone(standing));
        }
        let standing = Arc::new(find()?);
        known.accounts.insert(name.into(), Arc::clone(&standing));
        Some(standing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standing(email: &str) -> Option<Standing> {
        let account = Identity {
            email: email.into(),
            scopes: Vec::new(),
        };
        Some(Standing::new(account, false))
    }

    #[test]
    fn an_account_is_found_once_in_a_version() {
        let all = Standings::default();
        let email = |version, name: &str, email: &str| {
            let standing = all.get(version, name, || standing(email));
            standing.map(|standing| standing.account.email.clone())
        };
        assert_eq!(email(1, "default", "a@p").as_deref(), Some("a@p"));
        assert_eq!(email(1, "default", "b@p").as_deref(), Some("a@p"));
        assert_eq!(email(1, "b", "b@p").as_deref(), Some("b@p"));
        assert_eq!(email(2, "default", "b@p").as_deref(), Some("b@p"));
        assert!(all.get(2, "none", || None).is_none());
    }

    #[test]
    fn memory_is_bounded() {
        let all = Standings::default();
        for number in 0..3 * NAMES {
            all.get(0, &number.to_string(), || standing("a@p"));
            assert!(all.0.lock().unwrap().accounts.len() <= NAMES);
        }
    }
}
