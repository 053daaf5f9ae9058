//! What is known of a credential without asking anybody.

use std::{
    sync::{PoisonError, RwLock},
    time::SystemTime,
};

use crate::{
    refresh::{
        keeper::{Keeper, Value},
        policy::Freshness,
    },
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

/// Whether tokens are bound to a certificate of this workload, so that nobody
/// else can use them.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CertificateBinding {
    /// They are bound to the certificate of the agent that this workload is.
    Bound,
    /// They are not; and why.
    NotBound(String),
}

impl CertificateBinding {
    pub(crate) fn none(why: impl Into<String>) -> Self {
        Self::NotBound(why.into())
    }
}

/// What became of the binding when a token was last asked for.
#[derive(Debug, Default)]
pub(crate) struct LastBinding(RwLock<Option<CertificateBinding>>);

impl LastBinding {
    pub(crate) fn note(&self, binding: CertificateBinding) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Some(binding);
    }

    pub(crate) fn get(&self) -> Option<CertificateBinding> {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
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

impl Status {
    pub(crate) fn of<V: Value>(keeper: &Keeper<V>, now: Now) -> Self {
        let known = keeper.known();
        let held = keeper.read(now);
        let next = known.next_renewal.filter(|next| *next > now.boot);
        Self {
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
            scopes_not_granted: None,
            certificate_binding: None,
        }
    }
}
