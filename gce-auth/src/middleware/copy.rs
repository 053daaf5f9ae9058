//! Which requests can be sent twice.

use std::fmt;

/// Says whether, and how, the body of a request is copied, so that the request
/// can be sent again if its token is rejected.
pub trait BodyCopy<B> {
    /// Returns a copy of `body`; `None` where there is to be none.
    fn copy(&self, body: &B) -> Option<B>;
}

/// Copies nothing: no request is sent twice.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct NoCopy;

impl<B> BodyCopy<B> for NoCopy {
    fn copy(&self, _: &B) -> Option<B> {
        None
    }
}

/// Clones bodies: see [`AuthLayer::resend_clones`](crate::AuthLayer::resend_clones).
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct CloneBody;

impl<B: Clone> BodyCopy<B> for CloneBody {
    fn copy(&self, body: &B) -> Option<B> {
        Some(body.clone())
    }
}

/// Asks a function: see [`AuthLayer::resend_with`](crate::AuthLayer::resend_with).
#[derive(Clone, Copy)]
pub struct CopyWith<F>(pub(super) F);

impl<B, F: Fn(&B) -> Option<B>> BodyCopy<B> for CopyWith<F> {
    fn copy(&self, body: &B) -> Option<B> {
        (self.0)(body)
    }
}

impl<F> fmt::Debug for CopyWith<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CopyWith")
    }
}
