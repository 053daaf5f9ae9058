//! What is known of a credential without I/O.

use std::time::SystemTime;

use crate::{
    refresh::policy::Freshness,
    tokens::{handle::Handle, info::CertificateBinding},
    values::{error::Error, token::Now},
};

/// Whether a token is held, and how good it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TokenState {
    /// A token is held and need not be renewed yet.
    Fresh,
    /// A token is held and good, and is being, or is about to be, renewed.
    Stale,
    /// No token is held, or it has expired.
    Invalid,
}

/// The state of a credential, from memory alone.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Status {
    /// Whether a token is held.
    pub state: TokenState,
    /// When the token that is held expires.
    pub expires_at: Option<SystemTime>,
    /// When a token was last fetched.
    pub last_success: Option<SystemTime>,
    /// When fetching one last failed, and how; kept after a later success.
    pub last_error: Option<(SystemTime, Error)>,
    /// How many times in a row fetching has failed.
    pub failures: u32,
    /// The earliest time of the next attempt in the background, where it waits.
    pub next_attempt: Option<SystemTime>,
    /// Whether a request for a token is under way.
    pub in_flight: bool,
    /// The scopes that were asked for and are not among those of the account;
    /// `None` until the account is known (after `refresh` or `account`).
    pub scopes_not_granted: Option<Vec<String>>,
    /// Whether tokens are bound to a certificate, or why they are not; `None`
    /// until this credential has asked for one.
    pub certificate_binding: Option<CertificateBinding>,
}

impl Handle {
    pub(crate) fn status(&self) -> Status {
        let (source, now) = (&self.inner.source, self.now());
        let refreshes = self.inner.cache.refreshes();
        let known = refreshes.known();
        let held = refreshes.read(now);
        let next = known.next_renewal.filter(|next| *next > now.boot);
        let account = source.account().and_then(|account| account.cache().info);
        Status {
            state: match &held {
                Some((_, Freshness::Fresh)) => TokenState::Fresh,
                Some(_) => TokenState::Stale,
                None => TokenState::Invalid,
            },
            expires_at: held
                .and_then(|(entry, _)| entry.value.validity().ends())
                .map(Now::system_time),
            last_success: known.last_success.map(Now::system_time),
            last_error: known
                .last_failure
                .map(|(at, error)| (at.system_time(), error)),
            failures: known.failures,
            next_attempt: next.map(|next| now.system_time() + (next - now.boot)),
            in_flight: known.in_flight,
            scopes_not_granted: account.map(|account| {
                let asked = source.scopes();
                let asked = asked.iter().flat_map(|scopes| scopes.as_slice());
                let lacks = |scope: &&String| !account.scopes.contains(scope);
                asked.filter(lacks).cloned().collect()
            }),
            certificate_binding: source.certificate_binding(),
        }
    }
}
