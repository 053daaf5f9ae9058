//! Headers for requests, handed out: the hot path, and what waits behind it.

use std::borrow::Cow;

use http::{HeaderMap, HeaderValue};

#[cfg(feature = "iam")]
use crate::credentials::boundary::Boundary;
use crate::{
    credentials::Credentials,
    provide::{HeadersFuture, ProvideHeaders},
    refresh::RefreshMode,
    values::{
        error::Error,
        headers::{Headers, HeadersTag},
        token::{AccessToken, Bearer},
    },
};

impl Credentials {
    /// The headers of a request to a Google API.
    ///
    /// With a valid token in hand this takes no lock, allocates nothing and
    /// does not wait.
    ///
    /// # Errors
    /// Whatever keeps the metadata server from giving a token; see
    /// [`ErrorKind`](crate::ErrorKind). Never while a valid token is in hand.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing: the request for a token, if one was
    /// begun, ends by itself and its token is kept.
    pub async fn headers(&self) -> Result<Headers, Error> {
        match self.hot_headers() {
            Some(headers) => Ok(headers),
            None => {
                let bearer = self.0.engine.get(self.mode()).await?;
                Ok(self.show(&bearer))
            }
        }
    }

    /// [`headers`](Self::headers), waiting on this thread.
    ///
    /// # Errors
    /// As for [`headers`](Self::headers).
    pub fn blocking_headers(&self) -> Result<Headers, Error> {
        match self.hot_headers() {
            Some(headers) => Ok(headers),
            None => self.fetched_headers(),
        }
    }

    /// Apart, so that a hit saves no registers for it.
    #[cold]
    #[inline(never)]
    fn fetched_headers(&self) -> Result<Headers, Error> {
        let bearer = self.0.engine.blocking_get(self.mode())?;
        Ok(self.show(&bearer))
    }

    /// The headers, if a valid token is in hand. Never waits, and starts a
    /// refresh in the background when one is due: made for callers that
    /// cannot wait, such as a tonic interceptor.
    #[must_use]
    pub fn cached_headers(&self) -> Option<Headers> {
        let cached = self.cached(|| RefreshMode::Background, |shown| shown.into_owned());
        if cached.is_none() {
            self.0.engine.start();
        }
        cached
    }

    /// Lends the headers to `f`, if a valid token is in hand; nothing is
    /// cloned. Otherwise as [`cached_headers`](Self::cached_headers).
    pub fn with_cached<R>(&self, f: impl FnOnce(&Headers) -> R) -> Option<R> {
        let cached = self.cached(|| RefreshMode::Background, |shown| f(&shown));
        if cached.is_none() {
            self.0.engine.start();
        }
        cached
    }

    /// The headers, if they are not those that `tag` stands for: `None` says
    /// that nothing has changed, and nothing is built to say so.
    ///
    /// # Errors
    /// As for [`headers`](Self::headers).
    ///
    /// # Examples
    /// ```no_run
    /// # async fn call(credentials: gce_auth::Credentials) -> Result<(), gce_auth::Error> {
    /// let mut headers = credentials.headers().await?;
    /// // Before each request:
    /// if let Some(changed) = credentials.headers_if_changed(&headers.tag()).await? {
    ///     headers = changed;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn headers_if_changed(&self, tag: &HeadersTag) -> Result<Option<Headers>, Error> {
        match self.hot_change(tag) {
            Some(change) => Ok(change),
            None => Ok(Some(self.headers().await?).filter(|headers| *headers != tag.0)),
        }
    }

    /// [`headers_if_changed`](Self::headers_if_changed), waiting on this thread.
    ///
    /// # Errors
    /// As for [`headers`](Self::headers).
    pub fn blocking_headers_if_changed(&self, tag: &HeadersTag) -> Result<Option<Headers>, Error> {
        match self.hot_change(tag) {
            Some(change) => Ok(change),
            None => Ok(Some(self.blocking_headers()?).filter(|headers| *headers != tag.0)),
        }
    }

    /// The value of the `authorization` header.
    ///
    /// # Errors
    /// As for [`headers`](Self::headers).
    pub async fn authorization(&self) -> Result<HeaderValue, Error> {
        self.token().await.map(|token| token.authorization())
    }

    /// [`authorization`](Self::authorization), waiting on this thread.
    ///
    /// # Errors
    /// As for [`headers`](Self::headers).
    pub fn blocking_authorization(&self) -> Result<HeaderValue, Error> {
        self.blocking_token().map(|token| token.authorization())
    }

    #[inline]
    pub(super) fn hot_headers(&self) -> Option<Headers> {
        self.cached(|| self.mode(), |shown| shown.into_owned())
    }

    /// What has changed since `tag`, if that can be told without waiting.
    #[expect(clippy::option_option, reason = "known or not, changed or not")]
    fn hot_change(&self, tag: &HeadersTag) -> Option<Option<Headers>> {
        self.cached(
            || self.mode(),
            |shown| (*shown != tag.0).then(|| shown.into_owned()),
        )
    }

    /// The token, if it is in hand.
    #[inline]
    pub(super) fn hot_token(&self) -> Option<AccessToken> {
        let engine = &self.0.engine;
        let show = |bearer: &Bearer| self.show_token(bearer);
        let bearer = engine.cached(|| self.mode(), show, Headers::into_bearer);
        bearer.map(AccessToken)
    }

    /// Puts what is held onto `map`, good or not; whether anything was.
    pub(super) fn apply_held(&self, map: &mut HeaderMap) -> bool {
        let engine = &self.0.engine;
        let put = |shown: Cow<'_, Headers>| self.put(&shown, map);
        let show = |bearer: &Bearer| self.show_token(bearer);
        engine.front().held(show, put).is_some()
    }

    #[inline]
    fn cached<R>(
        &self,
        mode: impl Fn() -> RefreshMode,
        lend: impl FnOnce(Cow<'_, Headers>) -> R,
    ) -> Option<R> {
        let engine = &self.0.engine;
        let show = |bearer: &Bearer| self.show_token(bearer);
        #[cfg(feature = "iam")]
        if let Some(boundary) = &self.0.boundary {
            self.renew_boundary();
            // The boundary has a life of its own, and is not a part of the copy.
            let own = engine.cached(mode, show, |shown| shown.into_owned())?;
            return Some(lend(Cow::Owned(self.bound(own, boundary))));
        }
        engine.cached(mode, show, lend)
    }

    fn show(&self, bearer: &Bearer) -> Headers {
        let shown = self.show_token(bearer);
        #[cfg(feature = "iam")]
        if let Some(boundary) = &self.0.boundary {
            return self.bound(shown, boundary);
        }
        shown
    }

    /// With the boundary, while it holds.
    #[cfg(feature = "iam")]
    fn bound(&self, headers: Headers, boundary: &Boundary) -> Headers {
        match boundary.besides(self.0.engine.now()) {
            Some(besides) => headers.with_besides(besides),
            None => headers,
        }
    }

    fn show_token(&self, bearer: &Bearer) -> Headers {
        let besides = self.0.besides.clone();
        #[cfg(any(test, feature = "test-util"))]
        if self.0.source.is_anonymous() {
            return Headers::anonymous(besides);
        }
        Headers::new(bearer.clone(), besides)
    }
}

impl ProvideHeaders for Credentials {
    fn provide_headers(&self) -> HeadersFuture<'_> {
        match self.hot_headers() {
            Some(headers) => HeadersFuture::ready(Ok(headers)),
            None => HeadersFuture::new(self.headers()),
        }
    }

    fn invalidate_headers(&self, rejected: &Headers) -> bool {
        Self::invalidate_headers(self, rejected)
    }
}
