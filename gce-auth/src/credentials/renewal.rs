//! What google-auth's `before_request` does about a token that is not fresh.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU32, Ordering},
};

use crate::{
    credentials::TokenState,
    io::threads::{Executor, LaneKey, Progress, Work, WorkKind},
    refresh::RefreshMode,
    values::error::Error,
};

/// The renewals that one credential has had made in the background.
#[derive(Debug, Default)]
pub(crate) struct Renewals {
    /// The process in which one is queued or runs; 0 where none is.
    running: AtomicU32,
    /// Whether the last one failed: the next is made by whoever needs it.
    stumbled: AtomicBool,
}

/// Credentials whose token can be renewed.
pub(crate) trait Renewable: Clone + Send + 'static {
    fn renewals(&self) -> &Renewals;
    fn state(&self) -> TokenState;
    fn mode(&self) -> RefreshMode;
    /// Whether it is time to try again, after the last time.
    fn is_due(&self) -> bool;
    /// Whether there is a token to go on with.
    fn holds_good_token(&self) -> bool;
    fn refresh_now(&self) -> Result<(), Error>;
    fn executor(&self) -> &Arc<dyn Executor>;
    fn kind(&self) -> WorkKind;
    fn lane(&self) -> LaneKey;
}

/// Sees to it that `credentials` hold a good token; blocks for it if need be.
pub(crate) fn make_valid<R: Renewable>(credentials: &R) -> Result<(), Error> {
    if must_refresh(credentials) {
        refreshed(credentials, credentials.refresh_now())?;
    }
    Ok(())
}

/// Whether a request has to wait for a refresh; starts one in the background
/// where that is enough.
pub(crate) fn must_refresh<R: Renewable>(credentials: &R) -> bool {
    let stumbled = &credentials.renewals().stumbled;
    match (credentials.state(), credentials.mode()) {
        (TokenState::Fresh, _) => false,
        // It has just been tried, and the token is good.
        (TokenState::Stale, _) if !credentials.is_due() && credentials.holds_good_token() => false,
        (TokenState::Stale, RefreshMode::Background) if !stumbled.load(Ordering::Relaxed) => {
            renew_later(credentials);
            false
        }
        _ => true,
    }
}

/// What the refresh that a request waited for means to it.
pub(crate) fn refreshed<R: Renewable>(
    credentials: &R,
    outcome: Result<(), Error>,
) -> Result<(), Error> {
    match outcome {
        Ok(()) => {
            let stumbled = &credentials.renewals().stumbled;
            stumbled.store(false, Ordering::Relaxed);
            Ok(())
        }
        // A valid token is never given up.
        Err(_) if credentials.holds_good_token() => Ok(()),
        Err(error) => Err(error),
    }
}

/// Has the executor refresh, unless it is about to.
fn renew_later<R: Renewable>(credentials: &R) {
    let process = std::process::id();
    let running = &credentials.renewals().running;
    if running.swap(process, Ordering::AcqRel) == process {
        return;
    }
    let renewal = Running(credentials.clone());
    let work = Work::new(
        credentials.kind(),
        credentials.lane(),
        Progress::default(),
        move || {
            let failed = renewal.0.refresh_now().is_err();
            let stumbled = &renewal.0.renewals().stumbled;
            stumbled.store(failed, Ordering::Relaxed);
        },
    );
    if let Err(work) = credentials.executor().execute(work) {
        work.run();
    }
}

/// A renewal that is queued or runs: until it is done, or dropped undone.
struct Running<R: Renewable>(R);

impl<R: Renewable> Drop for Running<R> {
    fn drop(&mut self) {
        self.0.renewals().running.store(0, Ordering::Release);
    }
}
