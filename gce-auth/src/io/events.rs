//! Events for operators; nothing without the feature
//! `tracing`. The only file that names it.
//!
//! Targets and levels are promised in the documentation of the crate.

use crate::values::error::Error;

/// The span of one fetch; ends when dropped.
#[must_use]
pub(crate) struct Refresh {
    #[cfg(feature = "tracing")]
    _span: tracing::span::EnteredSpan,
}

/// One fetch of a token, or of what `what` says, begins on this thread.
pub(crate) fn refresh(what: &'static str, forced: bool) -> Refresh {
    #[cfg(not(feature = "tracing"))]
    let _ = (what, forced);
    Refresh {
        #[cfg(feature = "tracing")]
        _span: tracing::debug_span!(target: "gce_auth::refresh", "refresh", what, forced).entered(),
    }
}

/// How a fetch ended; ends its span.
pub(crate) fn refreshed(span: Refresh, error: Option<&Error>) {
    #[cfg(feature = "tracing")]
    match error {
        None => tracing::debug!(target: "gce_auth::refresh", "fetched"),
        Some(error) => {
            tracing::warn!(target: "gce_auth::refresh", %error, "not fetched");
        }
    }
    #[cfg(not(feature = "tracing"))]
    let _ = error;
    drop(span);
}

/// One attempt of a call failed.
pub(crate) fn attempt_failed(request: &str, attempt: u32, error: &Error) {
    #[cfg(feature = "tracing")]
    tracing::warn!(target: "gce_auth::call", request, attempt, %error, "an attempt failed");
    #[cfg(not(feature = "tracing"))]
    let _ = (request, attempt, error);
}

/// A lookup of a regional access boundary failed; it is made again later.
#[cfg(feature = "iam")]
pub(crate) fn no_boundary(account: &str) {
    #[cfg(feature = "tracing")]
    tracing::debug!(target: "gce_auth::boundary", account, "no boundary was found");
    #[cfg(not(feature = "tracing"))]
    let _ = account;
}

/// A certificate was found, and no token can be bound to it.
#[cfg(feature = "tls")]
pub(crate) fn not_bound(file: &std::path::Path, why: &str) {
    #[cfg(feature = "tracing")]
    tracing::warn!(
        target: "gce_auth::refresh",
        file = %file.display(), why, "the token will not be bound to a certificate"
    );
    #[cfg(not(feature = "tracing"))]
    let _ = (file, why);
}
