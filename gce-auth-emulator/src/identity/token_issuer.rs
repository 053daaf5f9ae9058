//! Access tokens: makes them, hands them out again until they are nearly old, and knows them when a
//! caller presents one.

use std::{collections::HashMap, sync::Arc, time::Duration};

use aws_lc_rs::digest::{self, SHA256};
use gce_auth_server::protocol::{Reply, query::Alt};

use crate::{
    clock::Instant,
    identity::accounts::Identity,
    policy::{
        principal::Principal,
        tokens::{Grant, Issued, REMEMBERED, Tokens},
    },
};

/// What a cached token belongs to: account, scopes, and the certificates it is bound to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Holder(String, Vec<String>, Option<[u8; 32]>);

impl Holder {
    /// Of the certificates, which may be long, a digest is kept.
    pub(crate) fn new(account: &Identity, certificates: Option<&str>) -> Self {
        let mut scopes = account.scopes.clone();
        scopes.sort();
        let certificates = certificates.map(|chain| {
            let mut digest = [0; 32];
            digest.copy_from_slice(digest::digest(&SHA256, chain.as_bytes()).as_ref());
            digest
        });
        Self(account.email.clone(), scopes, certificates)
    }
}

/// The access tokens of one emulator.
pub(crate) struct TokenIssuer {
    lifetime: Duration,
    margin: Option<Duration>,
    /// Both at the start.
    initial: (Duration, Option<Duration>),
    /// All that are accepted.
    pub(crate) tokens: Tokens,
    current: HashMap<Holder, Arc<Issued>>,
    answered: Option<Answered>,
}

/// The last answer with a token: what decides it, and the answer.
struct Answered {
    issued: Arc<Issued>,
    left: u64,
    alt: Option<Alt>,
    reply: Reply,
}

impl TokenIssuer {
    /// `margin` is how long before its end a cached token is replaced: by default a twelfth of the
    /// lifetime, which for an hour makes the five minutes of the real server.
    pub(crate) fn new(lifetime: Duration, margin: Option<Duration>) -> Self {
        Self {
            lifetime,
            margin,
            initial: (lifetime, margin),
            tokens: Tokens::default(),
            current: HashMap::new(),
            answered: None,
        }
    }

    /// The token that the metadata server has for an account and its scopes: a cached one, unless
    /// it is nearly old.
    pub(crate) fn cached(
        &mut self,
        account: &Identity,
        holder: &Holder,
        now: Instant,
    ) -> Option<Arc<Issued>> {
        if let Some(issued) = self.current(holder, now) {
            return Some(issued);
        }
        let principal = Principal::service_account(&account.email);
        let grant = Grant::new(principal, account.scopes.clone());
        let issued = self.tokens.issue(grant, self.lifetime, now)?;
        self.keep(holder.clone(), &issued, now);
        Some(issued)
    }

    /// The answer with a token, as `render` makes it of the seconds that are left: once for all
    /// requests within one second.
    pub(crate) fn answer(
        &mut self,
        issued: &Arc<Issued>,
        alt: Option<Alt>,
        now: Instant,
        render: impl FnOnce(u64) -> Reply,
    ) -> Reply {
        let left = now.until(issued.expires).as_secs();
        if let Some(last) = &self.answered
            && Arc::ptr_eq(&last.issued, issued)
            && (last.left, last.alt) == (left, alt)
        {
            return last.reply.clone();
        }
        let reply = render(left);
        self.answered = Some(Answered {
            issued: Arc::clone(issued),
            left,
            alt,
            reply: reply.clone(),
        });
        reply
    }

    /// The cached token, unless it is nearly old.
    pub(crate) fn current(&self, holder: &Holder, now: Instant) -> Option<Arc<Issued>> {
        let margin = self.margin();
        self.current
            .get(holder)
            .filter(|issued| now.until(issued.expires) > margin)
            .cloned()
    }

    /// The cached token, as long as it is good; none if none is to be kept.
    pub(crate) fn valid(&self, holder: &Holder, now: Instant) -> Option<Arc<Issued>> {
        self.current
            .get(holder)
            .filter(|issued| issued.expires > now && self.margin() < Duration::MAX)
            .cloned()
    }

    /// Puts a token into the cache.
    pub(crate) fn keep(&mut self, holder: Holder, issued: &Arc<Issued>, now: Instant) {
        if self.current.len() >= REMEMBERED {
            self.current.clear();
        }
        self.current.insert(holder, Arc::clone(issued));
        self.tokens.remember(Arc::clone(issued), now);
    }

    /// Hands this token out no more. It may be accepted still.
    pub(crate) fn forget(&mut self, token: &str) {
        self.current.retain(|_, issued| issued.token != token);
        self.answered = None;
    }

    /// Empties the cache, so that the next token is a new one. Those handed out stay good.
    pub(crate) fn rotate(&mut self) {
        self.current.clear();
    }

    /// Forgets every token, so that none is accepted from now on.
    pub(crate) fn revoke(&mut self) {
        self.current.clear();
        self.answered = None;
        self.tokens.clear();
    }

    pub(crate) fn lifetime(&self) -> Duration {
        self.lifetime
    }

    pub(crate) fn set_lifetime(&mut self, lifetime: Duration) {
        self.lifetime = lifetime;
        self.current.clear();
    }

    /// How long before its end a cached token is replaced.
    pub(crate) fn margin(&self) -> Duration {
        self.margin.unwrap_or(self.lifetime / 12)
    }

    /// `None` is a twelfth of the lifetime.
    pub(crate) fn set_margin(&mut self, margin: Option<Duration>) {
        self.margin = margin;
    }

    /// As at the start: no tokens, and the lifetime of then.
    pub(crate) fn reset(&mut self) {
        self.revoke();
        (self.lifetime, self.margin) = self.initial;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(scopes: &[&str]) -> Identity {
        Identity {
            email: "a@p".into(),
            scopes: scopes.iter().map(|scope| (*scope).into()).collect(),
        }
    }

    #[test]
    fn a_token_is_kept_until_five_minutes_before_its_end() {
        let mut issuer = TokenIssuer::new(Duration::from_secs(3600), None);
        let at = |seconds: i64| Instant::from_seconds(1_000_000 + seconds);
        let account = account(&["s"]);
        let holder = Holder::new(&account, None);
        let first = issuer.cached(&account, &holder, at(0)).unwrap();
        let later = issuer.cached(&account, &holder, at(3299)).unwrap();
        assert_eq!(first.token, later.token);
        assert_eq!(at(3299).until(later.expires), Duration::from_secs(301));
        let new = issuer.cached(&account, &holder, at(3300)).unwrap();
        assert_ne!(first.token, new.token);
        assert!(issuer.tokens.known(&first.token, at(3599)).is_some());
        assert!(issuer.tokens.known(&first.token, at(3600)).is_none());
    }

    #[test]
    fn scopes_and_certificates_have_tokens_of_their_own() {
        let mut issuer = TokenIssuer::new(Duration::from_secs(3600), None);
        let now = Instant::from_seconds(0);
        let mut get = |scopes: &[&str], certificates: Option<&str>| {
            let account = account(scopes);
            let holder = Holder::new(&account, certificates);
            let issued = issuer.cached(&account, &holder, now);
            issued.unwrap().token.clone()
        };
        assert_eq!(get(&["a", "b"], None), get(&["b", "a"], None));
        assert_ne!(get(&["a", "b"], None), get(&["a"], None));
        assert_ne!(get(&["a"], Some("pem")), get(&["a"], None));
    }

    #[test]
    fn an_answer_is_made_once_a_second_for_each_token() {
        let mut issuer = TokenIssuer::new(Duration::from_secs(3600), None);
        let at = Instant::from_seconds;
        let mut issue = |scope: &str| {
            let account = account(&[scope]);
            let holder = Holder::new(&account, None);
            issuer.cached(&account, &holder, at(0)).unwrap()
        };
        let (first, second) = (issue("a"), issue("b"));
        let mut made = Vec::new();
        let mut answer = |issued: &Arc<Issued>, alt, now| {
            issuer.answer(issued, alt, at(now), |left| {
                made.push(left);
                Reply::new(200, "text/plain", format!("{} {left}", issued.token))
            })
        };
        let reply = answer(&first, None, 1);
        assert_eq!(answer(&first, None, 1), reply);
        assert_ne!(answer(&first, None, 2), reply);
        assert_ne!(answer(&second, None, 2), answer(&first, None, 2));
        answer(&first, Some(Alt::Text), 2);
        assert_eq!(made, [3599, 3598, 3598, 3598, 3598]);
        issuer.forget(&first.token);
        assert!(issuer.answered.is_none());
    }

    #[test]
    fn certificates_are_not_kept() {
        let chain = "certificate ".repeat(1000);
        let holder = Holder::new(&account(&["a"]), Some(&chain));
        let kept = format!("{holder:?}");
        assert!(kept.len() < 300 && !kept.contains("certificate"), "{kept}");
        assert_ne!(holder, Holder::new(&account(&["a"]), Some("another")));
    }

    #[test]
    fn tokens_look_like_google_s_and_hide_in_debug_output() {
        let mut issuer = TokenIssuer::new(Duration::from_secs(3600), None);
        let account = account(&["a"]);
        let holder = Holder::new(&account, None);
        let issued = issuer
            .cached(&account, &holder, Instant::from_seconds(0))
            .unwrap();
        assert!(issued.token.starts_with("ya29.c."));
        assert!(!format!("{issued:?}").contains("ya29"));
    }
}
