//! What google-auth's properties say of ID tokens: from memory, and to the
//! second.

use std::time::SystemTime;

use crate::{
    credentials::{TokenState, state::token_state},
    id_token::{IdToken, IdTokenCredentials},
    io::threads::WorkKind,
    refresh::slot::Entry,
    values::{error::Error, token::Bearer},
};

impl IdTokenCredentials {
    pub(super) fn held(&self) -> Option<Entry<Bearer>> {
        self.inner.engine.keeper().cell.read()
    }

    /// The token that is held, if it is good. No I/O, and none is started.
    #[must_use]
    pub fn cached_token(&self) -> Option<IdToken> {
        let (entry, _) = self.inner.engine.keeper().read(self.inner.engine.now())?;
        Some(IdToken(entry.value))
    }

    /// The token that is held, also when it has expired: google-auth's `token`.
    /// No I/O.
    #[must_use]
    pub fn held_token(&self) -> Option<IdToken> {
        self.held().map(|entry| IdToken(entry.value))
    }

    /// When the token that is held expires, or has expired. No I/O.
    #[must_use]
    pub fn expires_at(&self) -> Option<SystemTime> {
        self.held_token()?.expires_at()
    }

    /// Whether the token that is held expires within 225 s, or has expired:
    /// google-auth's `expired`. `false` where none is held. No I/O.
    #[must_use]
    pub fn is_expired(&self) -> bool {
        self.held().is_some() && self.token_state() != TokenState::Fresh
    }

    /// Whether a token is held that does not expire within 225 s: google-auth's
    /// `valid`. No I/O.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        self.token_state() == TokenState::Fresh
    }

    /// How good the token is that is held: stale from 225 s before it expires,
    /// invalid when it has. No I/O.
    #[must_use]
    pub fn token_state(&self) -> TokenState {
        let held = self.held();
        let validity = held.as_ref().map(|entry| entry.value.validity());
        token_state(validity, self.inner.engine.now())
    }

    /// Finds out the email address of the account: what google-auth does when
    /// such credentials are made. Where the account was named by it, nobody is
    /// asked.
    ///
    /// # Errors
    /// As for [`MetadataClient::account_info`](crate::MetadataClient::account_info).
    pub async fn resolve(&self) -> Result<(), Error> {
        let credentials = self.clone();
        let work = move |_: &_| credentials.blocking_resolve();
        self.client().background(WorkKind::Other, work).await
    }

    /// [`resolve`](Self::resolve), waiting on this thread.
    ///
    /// # Errors
    /// As for [`resolve`](Self::resolve).
    pub fn blocking_resolve(&self) -> Result<(), Error> {
        self.inner.source.email().map(drop)
    }

    /// The email address of the account, if it was named by it, or is known
    /// since [`resolve`](Self::resolve).
    #[must_use]
    pub fn service_account_email(&self) -> Option<String> {
        self.inner.source.email.get().cloned()
    }

    /// The quota project, if one is set.
    #[must_use]
    pub fn quota_project_id(&self) -> Option<&str> {
        self.inner.settled.user_project.as_ref()?.to_str().ok()
    }

    /// Whom the tokens are for.
    #[must_use]
    pub fn target_audience(&self) -> &str {
        &self.inner.source.wish.audience
    }
}
