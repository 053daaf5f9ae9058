//! The access tokens that were issued: what each may do, until when. Bounded.

use std::{collections::HashMap, fmt, sync::Arc, time::Duration};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};

use crate::{
    clock::Instant,
    policy::{boundary::Boundary, principal::Principal},
};

/// How many tokens are remembered; beyond that the oldest are forgotten.
pub(crate) const REMEMBERED: usize = 10_000;

/// What a token may do.
#[derive(Clone, Debug)]
pub(crate) struct Grant {
    pub(crate) principal: Principal,
    pub(crate) scopes: Vec<String>,
    /// What a downscoped token may do at most.
    pub(crate) boundary: Option<Arc<Boundary>>,
    /// The OAuth client that asked for it.
    pub(crate) client: Option<String>,
    /// The refresh token that it came from.
    pub(crate) refresh_token: Option<String>,
}

impl Grant {
    pub(crate) fn new(principal: Principal, scopes: Vec<String>) -> Self {
        Self {
            principal,
            scopes,
            boundary: None,
            client: None,
            refresh_token: None,
        }
    }

    /// Whether the token has one of these scopes.
    pub(crate) fn has_scope(&self, accepted: &[&str]) -> bool {
        self.scopes
            .iter()
            .any(|scope| accepted.contains(&scope.as_str()))
    }
}

/// A token and what it may do.
pub(crate) struct Issued {
    pub(crate) token: String,
    pub(crate) grant: Grant,
    pub(crate) issued: Instant,
    pub(crate) expires: Instant,
}

impl fmt::Debug for Issued {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Issued")
            .field("principal", &self.grant.principal)
            .field("scopes", &self.grant.scopes)
            .field("expires", &self.expires)
            .finish_non_exhaustive()
    }
}

/// The tokens that are accepted.
#[derive(Default)]
pub(crate) struct Tokens {
    issued: HashMap<String, Arc<Issued>>,
}

impl Tokens {
    /// Issues a token. `None` if there is no randomness.
    pub(crate) fn issue(
        &mut self,
        grant: Grant,
        lifetime: Duration,
        now: Instant,
    ) -> Option<Arc<Issued>> {
        // Google's tokens of federated identities and those with a boundary begin differently.
        let kind = match (&grant.boundary, &grant.principal) {
            (Some(_), _) => "dr",
            (None, Principal::Federated(_)) => "d",
            (None, Principal::User { .. }) => "a0",
            (None, Principal::ServiceAccount { .. }) => "c",
        };
        let mut random = [0; 96];
        getrandom::fill(&mut random).ok()?;
        let issued = Arc::new(Issued {
            token: format!("ya29.{kind}.{}", BASE64_URL_SAFE_NO_PAD.encode(random)),
            grant,
            issued: now,
            expires: now.plus(lifetime),
        });
        self.remember(Arc::clone(&issued), now);
        Some(issued)
    }

    /// Accepts a token from now on.
    pub(crate) fn remember(&mut self, issued: Arc<Issued>, now: Instant) {
        if self.issued.len() >= REMEMBERED {
            self.forget_old(now);
        }
        self.issued.insert(issued.token.clone(), issued);
    }

    /// What a token stands for, if it was issued here, is not revoked and has not expired.
    pub(crate) fn known(&self, token: &str, now: Instant) -> Option<&Arc<Issued>> {
        self.issued.get(token).filter(|issued| issued.expires > now)
    }

    /// All that are accepted.
    pub(crate) fn accepted(&self, now: Instant) -> Vec<Arc<Issued>> {
        let alive = self.issued.values().filter(|issued| issued.expires > now);
        alive.cloned().collect()
    }

    #[cfg(test)]
    pub(crate) fn contains(&self, token: &str) -> bool {
        self.issued.contains_key(token)
    }

    /// Accepts a token no more.
    pub(crate) fn revoke(&mut self, token: &str) -> Option<Arc<Issued>> {
        self.issued.remove(token)
    }

    /// Accepts no more tokens that came from this refresh token.
    pub(crate) fn revoke_all_from(&mut self, refresh_token: &str) {
        self.issued
            .retain(|_, issued| issued.grant.refresh_token.as_deref() != Some(refresh_token));
    }

    pub(crate) fn clear(&mut self) {
        self.issued.clear();
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.issued.len()
    }

    fn forget_old(&mut self, now: Instant) {
        self.issued.retain(|_, issued| issued.expires > now);
        if self.issued.len() < REMEMBERED {
            return;
        }
        let mut ends: Vec<Instant> = self.issued.values().map(|issued| issued.expires).collect();
        ends.sort();
        let middle = ends[ends.len() / 2];
        self.issued.retain(|_, issued| issued.expires > middle);
        // All may end at the same time.
        if self.issued.len() >= REMEMBERED {
            self.issued.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant() -> Grant {
        Grant::new(Principal::service_account("a@p"), vec!["s".into()])
    }

    #[test]
    fn a_token_is_known_until_it_ends_or_is_revoked() {
        let mut tokens = Tokens::default();
        let at = Instant::from_seconds;
        let first = tokens
            .issue(grant(), Duration::from_secs(10), at(0))
            .unwrap();
        assert!(first.token.starts_with("ya29.c."));
        assert!(!format!("{first:?}").contains("ya29"));
        assert!(tokens.known(&first.token, at(9)).is_some());
        assert!(tokens.known(&first.token, at(10)).is_none());
        assert!(tokens.revoke(&first.token).is_some() && !tokens.contains(&first.token));

        let of = |refresh_token: &str| Grant {
            refresh_token: Some(refresh_token.into()),
            ..grant()
        };
        let one = tokens
            .issue(of("1"), Duration::from_secs(10), at(0))
            .unwrap();
        let two = tokens
            .issue(of("2"), Duration::from_secs(10), at(0))
            .unwrap();
        tokens.revoke_all_from("1");
        assert!(!tokens.contains(&one.token) && tokens.contains(&two.token));
    }

    #[test]
    fn memory_is_bounded() {
        for step in [0, 1] {
            let mut tokens = Tokens::default();
            for index in 0..12_000 {
                let now = Instant::from_seconds(index * step);
                tokens.issue(grant(), Duration::from_secs(100_000), now);
                assert!(tokens.len() <= REMEMBERED);
            }
            assert!(tokens.len() > 1);
        }
    }
}
