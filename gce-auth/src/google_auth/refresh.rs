//! What google-auth does about a token that is not fresh.

#[cfg(feature = "iam")]
use crate::values::token::Bearer;
use crate::{
    io::threads::WorkKind,
    refresh::RefreshMode,
    tokens::{handle::Handle, status::TokenState},
    values::error::Error,
};

impl Handle {
    pub(super) async fn refresh(&self) -> Result<(), Error> {
        self.inner.cache.refresh().await?;
        if self.lacks_account() {
            self.account(WorkKind::AccessToken).await?;
        }
        Ok(())
    }

    pub(super) fn blocking_refresh(&self) -> Result<(), Error> {
        self.inner.cache.blocking_refresh()?;
        if self.lacks_account() {
            let source = &self.inner.source;
            source.ask_account(&mut source.client().0.budget())?;
        }
        Ok(())
    }

    /// Returns the token of a refresh, however soon it expires: no other is
    /// asked for, as in google-auth.
    #[cfg(feature = "iam")]
    pub(crate) fn refreshed_bearer(&self) -> Result<Bearer, Error> {
        self.blocking_refresh()?;
        match self.held() {
            Some(entry) => Ok(entry.value),
            None => self.blocking_bearer(),
        }
    }

    /// Refreshes a token that is not fresh, or has it refreshed in the
    /// background if that is enough.
    pub(super) async fn make_valid(&self) -> Result<(), Error> {
        if !self.must_refresh() {
            return Ok(());
        }
        let outcome = self.refresh().await;
        self.unless_valid(outcome)
    }

    pub(super) fn blocking_make_valid(&self) -> Result<(), Error> {
        if !self.must_refresh() {
            return Ok(());
        }
        let outcome = self.blocking_refresh();
        self.unless_valid(outcome)
    }

    /// Whether a request has to wait for a refresh; starts one in the
    /// background if that is enough.
    fn must_refresh(&self) -> bool {
        if self.is_anonymous() {
            return false;
        }
        let cache = &self.inner.cache;
        let state = self.token_state();
        if state != TokenState::Stale {
            return state == TokenState::Invalid;
        }
        let (known, now) = (cache.refreshes().known(), self.now());
        // It has just been tried, and the token is good.
        if known.next_renewal.is_some_and(|at| now.boot < at) && self.valid().is_some() {
            return false;
        }
        // After a renewal that failed, the caller makes the next refresh.
        if self.mode() == RefreshMode::Background && !known.renewal_failed {
            cache.renew_fully();
            return false;
        }
        true
    }

    /// What the refresh that a request waited for means to it: a valid token is
    /// never given up.
    fn unless_valid(&self, outcome: Result<(), Error>) -> Result<(), Error> {
        match outcome {
            Err(_) if self.valid().is_some() => Ok(()),
            outcome => outcome,
        }
    }
}
