//! The hot path of credentials: headers and tokens that are in hand, and what is
//! done where they are not.

use std::{borrow::Cow, cell::RefCell, time::Duration};

use http::HeaderMap;

#[cfg(feature = "iam")]
use crate::tokens::boundary::Boundary;
use crate::{
    refresh::{
        RefreshMode,
        thread_local::{PerThread, Slots},
    },
    tokens::handle::Handle,
    values::{
        error::{Error, ErrorKind},
        headers::{Headers, HeadersTag},
        token::Bearer,
    },
};

/// Callers of [`Handle::hot_headers`].
pub(crate) enum Async {}
pub(crate) enum Blocking {}

impl Handle {
    /// Returns headers that are not at hand without waiting, to a caller that
    /// has spent so much of its budget.
    pub(crate) async fn fetched_headers(&self, spent: Duration) -> Result<Headers, Error> {
        let bearer = self.inner.cache.get_after(self.mode(), spent).await?;
        Ok(self.show(&bearer))
    }

    /// Apart, so that a hit saves no registers for it.
    #[cold]
    #[inline(never)]
    pub(crate) fn blocking_fetched_headers(&self, spent: Duration) -> Result<Headers, Error> {
        let cache = &self.inner.cache;
        let bearer = cache.blocking_get_after(self.mode(), spent)?;
        Ok(self.show(&bearer))
    }

    /// Lends the headers of a valid token; starts a fetch if there is none.
    #[inline]
    pub(crate) fn with_cached<R>(&self, lend: impl FnOnce(Cow<'_, Headers>) -> R) -> Option<R> {
        let mut spent = Duration::ZERO;
        let cached = self.cached(|| RefreshMode::Background, lend, &mut spent);
        if cached.is_none() {
            self.inner.cache.start();
        }
        cached
    }

    /// Returns the headers if they are in hand; else adds to `spent` how long a
    /// renewal took that was done here. `C` tells the callers apart: with
    /// one of its own each has this in place, where a call costs 20 instructions
    /// of 140.
    #[expect(
        clippy::extra_unused_type_parameters,
        reason = "it makes a copy for each caller"
    )]
    #[inline]
    pub(crate) fn hot_headers<C>(&self, spent: &mut Duration) -> Option<Headers> {
        self.cached(|| self.mode(), |shown| shown.into_owned(), spent)
    }

    /// What has changed since `tag`, if that can be told without waiting.
    #[expect(clippy::option_option, reason = "known or not, changed or not")]
    pub(crate) fn hot_change(
        &self,
        tag: &HeadersTag,
        spent: &mut Duration,
    ) -> Option<Option<Headers>> {
        let changed = |shown: Cow<'_, Headers>| (*shown != tag.0).then(|| shown.into_owned());
        self.cached(|| self.mode(), changed, spent)
    }

    #[inline]
    pub(crate) async fn bearer(&self) -> Result<Bearer, Error> {
        let mut spent = Duration::ZERO;
        match self.hot_bearer(&mut spent) {
            Some(bearer) => named(bearer),
            None => named(self.inner.cache.get_after(self.mode(), spent).await?),
        }
    }

    #[inline]
    pub(crate) fn blocking_bearer(&self) -> Result<Bearer, Error> {
        let mut spent = Duration::ZERO;
        match self.hot_bearer(&mut spent) {
            Some(bearer) => named(bearer),
            None => named(self.inner.cache.blocking_get_after(self.mode(), spent)?),
        }
    }

    /// Lends the headers of the token that is held to `put`, valid or not.
    pub(crate) fn lend_held<R>(&self, put: impl FnOnce(Cow<'_, Headers>) -> R) -> Option<R> {
        self.reader.held(|bearer| self.show_token(bearer), put)
    }

    /// The token, if it is in hand.
    #[inline]
    fn hot_bearer(&self, spent: &mut Duration) -> Option<Bearer> {
        let show = |bearer: &Bearer| self.show_token(bearer);
        let (cache, lend) = (&self.inner.cache, Headers::into_bearer);
        cache.cached(&self.reader, || self.mode(), show, lend, spent)
    }

    #[inline]
    fn cached<R>(
        &self,
        mode: impl Fn() -> RefreshMode,
        lend: impl FnOnce(Cow<'_, Headers>) -> R,
        spent: &mut Duration,
    ) -> Option<R> {
        let cache = &self.inner.cache;
        let show = |bearer: &Bearer| self.show_token(bearer);
        #[cfg(feature = "iam")]
        if let Some(boundary) = &self.inner.boundary {
            self.renew_boundary();
            // The boundary has a life of its own, and is not a part of the copy.
            let lend_own = |shown: Cow<'_, Headers>| shown.into_owned();
            let own = cache.cached(&self.reader, mode, show, lend_own, spent)?;
            return Some(lend(Cow::Owned(self.bound(own, boundary))));
        }
        cache.cached(&self.reader, mode, show, lend, spent)
    }

    pub(crate) fn show(&self, bearer: &Bearer) -> Headers {
        let shown = self.show_token(bearer);
        #[cfg(feature = "iam")]
        if let Some(boundary) = &self.inner.boundary {
            return self.bound(shown, boundary);
        }
        shown
    }

    /// With the boundary, while it holds.
    #[cfg(feature = "iam")]
    fn bound(&self, headers: Headers, boundary: &Boundary) -> Headers {
        match boundary.extra(self.now()) {
            Some(extra) => headers.with_extra(extra),
            None => headers,
        }
    }

    #[inline]
    fn show_token(&self, bearer: &Bearer) -> Headers {
        Headers::new(bearer.clone(), self.extra.clone())
    }

    /// Puts `headers`, and the boundary, onto `map`.
    #[cfg_attr(
        not(feature = "iam"),
        expect(clippy::unused_self, reason = "a boundary is the credential's")
    )]
    pub(crate) fn put(&self, headers: &Headers, map: &mut HeaderMap) {
        headers.add_to(map);
        #[cfg(feature = "iam")]
        if let Some(boundary) = &self.inner.boundary {
            use crate::values::headers::X_ALLOWED_LOCATIONS;
            match boundary.header(self.now()) {
                Some(locations) => map.insert(X_ALLOWED_LOCATIONS, locations),
                // What is not known to hold must not be claimed.
                None => map.remove(X_ALLOWED_LOCATIONS),
            };
        }
    }
}

/// The token, unless it stands for none.
#[inline]
fn named(bearer: Bearer) -> Result<Bearer, Error> {
    if bearer.is_nothing() {
        return Err(no_token());
    }
    Ok(bearer)
}

/// Kept out of the hot path.
#[cold]
fn no_token() -> Error {
    Error::new(
        ErrorKind::InvalidOperation,
        "anonymous credentials have no token",
    )
}

impl PerThread for Headers {
    fn detached(&self) -> Self {
        Self::detached(self)
    }

    #[inline]
    fn with_slots<R>(f: impl FnOnce(&RefCell<Slots<Self>>) -> R) -> Option<R> {
        thread_local! {
            static SLOTS: RefCell<Slots<Headers>> =
                const { RefCell::new(Slots::new()) };
        }
        SLOTS.try_with(f).ok()
    }
}
