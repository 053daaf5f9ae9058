//! The methods that `Credentials` and `IdTokenCredentials` have in common:
//! names and docs. What they do is written once, in `Handle`.

use std::time::{Duration, SystemTime};

use http::HeaderValue;

use crate::{
    client::config::MetadataClient,
    provide::{HeadersFuture, ProvideHeaders},
    refresh::RefreshMode,
    tokens::{
        credentials::Credentials,
        hot::{Async, Blocking},
        id_token::IdToken,
        id_token_credentials::IdTokenCredentials,
        status::Status,
    },
    values::{
        error::Error,
        headers::{Headers, HeadersTag},
        token::AccessToken,
    },
};

/// Implements what both kinds of credentials do, for `$name`, a tuple struct
/// around a `Handle`, whose tokens are `$token`, around a `Bearer`.
macro_rules! shared_methods {
    ($name:ident, $token:ident) => {
        impl $name {
            /// Returns the headers of a request.
            ///
            /// With a valid token in hand this takes no lock, allocates nothing
            /// and does not wait.
            ///
            /// # Errors
            /// Whatever keeps the server from giving a token; see
            /// [`ErrorKind`](crate::ErrorKind). Never while a valid token is in
            /// hand.
            ///
            /// # Cancel safety
            /// Dropping the future loses nothing: a request for a token that was
            /// begun ends by itself, and its token is kept.
            #[inline]
            pub async fn headers(&self) -> Result<Headers, Error> {
                let mut spent = Duration::ZERO;
                match self.0.hot_headers::<(Self, Async)>(&mut spent) {
                    Some(headers) => Ok(headers),
                    None => self.0.fetched_headers(spent).await,
                }
            }

            /// [`headers`](Self::headers), waiting on this thread.
            ///
            /// # Errors
            /// As for [`headers`](Self::headers).
            #[inline]
            pub fn blocking_headers(&self) -> Result<Headers, Error> {
                let mut spent = Duration::ZERO;
                match self.0.hot_headers::<(Self, Blocking)>(&mut spent) {
                    Some(headers) => Ok(headers),
                    None => self.0.blocking_fetched_headers(spent),
                }
            }

            /// Returns the token, and when it expires.
            ///
            /// # Errors
            /// As for [`headers`](Self::headers).
            #[inline]
            pub async fn token(&self) -> Result<$token, Error> {
                self.0.bearer().await.map($token)
            }

            /// [`token`](Self::token), waiting on this thread.
            ///
            /// # Errors
            /// As for [`headers`](Self::headers).
            #[inline]
            pub fn blocking_token(&self) -> Result<$token, Error> {
                self.0.blocking_bearer().map($token)
            }

            /// Returns the headers if a valid token is in hand. Never waits, and
            /// starts a refresh in the background when one is due: for callers
            /// that cannot wait, such as a tonic interceptor.
            #[inline]
            #[must_use]
            pub fn cached_headers(&self) -> Option<Headers> {
                self.0.with_cached(|shown| shown.into_owned())
            }

            /// Lends the headers to `f` if a valid token is in hand; clones
            /// nothing. Otherwise as [`cached_headers`](Self::cached_headers).
            #[inline]
            pub fn with_cached<R>(&self, f: impl FnOnce(&Headers) -> R) -> Option<R> {
                self.0.with_cached(|shown| f(&shown))
            }

            /// Returns the headers if they are not those that `tag` stands for.
            /// Returns `None` if nothing changed; does not allocate.
            ///
            /// # Errors
            /// As for [`headers`](Self::headers).
            ///
            /// # Examples
            /// ```no_run
            #[doc = concat!("# async fn call(credentials: gce_auth::", stringify!($name), ") -> Result<(), gce_auth::Error> {")]
            /// let mut headers = credentials.headers().await?;
            /// // Before each request:
            /// if let Some(changed) = credentials.headers_if_changed(&headers.tag()).await? {
            ///     headers = changed;
            /// }
            /// # Ok(())
            /// # }
            /// ```
            pub async fn headers_if_changed(
                &self,
                tag: &HeadersTag,
            ) -> Result<Option<Headers>, Error> {
                let mut spent = Duration::ZERO;
                if let Some(change) = self.0.hot_change(tag, &mut spent) {
                    return Ok(change);
                }
                let headers = self.0.fetched_headers(spent).await?;
                Ok(Some(headers).filter(|headers| *headers != tag.0))
            }

            /// [`headers_if_changed`](Self::headers_if_changed), waiting on this
            /// thread.
            ///
            /// # Errors
            /// As for [`headers`](Self::headers).
            pub fn blocking_headers_if_changed(
                &self,
                tag: &HeadersTag,
            ) -> Result<Option<Headers>, Error> {
                let mut spent = Duration::ZERO;
                if let Some(change) = self.0.hot_change(tag, &mut spent) {
                    return Ok(change);
                }
                let headers = self.0.blocking_fetched_headers(spent)?;
                Ok(Some(headers).filter(|headers| *headers != tag.0))
            }

            /// Returns the value of the `authorization` header.
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

            /// Drops `token`, because a server rejected it, if it is still the
            /// one that is held; returns whether it was. The next call fetches
            /// another.
            ///
            /// If the same token comes again, it may be the rejecting server
            /// that is wrong. The token then stays, however often it is
            /// rejected, as other requests may live on it: the method returns
            /// `false`, and `true` every 10 s, when another token is asked for
            /// in the background.
            pub fn invalidate(&self, token: &$token) -> bool {
                self.0.invalidate(|held| held.is_same(&token.0))
            }

            /// Drops the token in `headers`: see [`invalidate`](Self::invalidate).
            pub fn invalidate_headers(&self, headers: &Headers) -> bool {
                // What stands for "no token" cannot be rejected.
                let named = headers.authorization().is_some();
                named && self.0.invalidate(|held| headers.hold(held))
            }

            /// Returns the token that is held, if it is valid. No I/O, and none
            /// is started.
            #[must_use]
            pub fn cached_token(&self) -> Option<$token> {
                self.0.valid().map($token)
            }

            /// Returns the token that is held, also when it has expired:
            /// google-auth's `token`. No I/O.
            #[must_use]
            pub fn held_token(&self) -> Option<$token> {
                self.0.held().map(|entry| $token(entry.value))
            }

            /// Returns when the token that is held expires, or has expired.
            /// `None`: no token is held, or it never expires. No I/O.
            #[must_use]
            pub fn expires_at(&self) -> Option<SystemTime> {
                self.held_token()?.expires_at()
            }

            /// Returns the state of the credentials, from memory alone.
            #[must_use]
            pub fn status(&self) -> Status {
                self.0.status()
            }

            /// Waits until a token is in hand, for at most `deadline`, through
            /// every error that time may cure: also 403 and 404, which a GKE
            /// node or a new workload identity binding answers with at first.
            ///
            /// For init containers and the start of a program; everything else
            /// just calls [`headers`](Self::headers). All futures that wait
            /// share one thread of the library's between attempts.
            ///
            /// # Errors
            /// The last error, once the deadline has passed; an error of kind
            /// [`Config`](crate::ErrorKind::Config) at once.
            ///
            /// # Cancel safety
            /// Dropping the future ends the wait, after the attempt that is
            /// under way.
            pub async fn wait_ready(&self, deadline: Duration) -> Result<(), Error> {
                self.0.wait_ready(deadline).await
            }

            /// [`wait_ready`](Self::wait_ready), waiting on this thread.
            ///
            /// # Errors
            /// As for [`wait_ready`](Self::wait_ready).
            pub fn blocking_wait_ready(&self, deadline: Duration) -> Result<(), Error> {
                self.0.blocking_wait_ready(deadline)
            }

            /// Returns the client whose transport, clock and settings the
            /// requests use.
            #[must_use]
            pub fn client(&self) -> &MetadataClient {
                self.0.inner.source.client()
            }

            /// Returns the quota project, if one is set.
            #[must_use]
            pub fn quota_project_id(&self) -> Option<&str> {
                self.0.inner.options.user_project.as_ref()?.to_str().ok()
            }

            /// Sets what happens when a token is stale, for this credential and
            /// its clones; the token stays.
            pub fn set_refresh_mode(&self, mode: RefreshMode) {
                self.0.set_mode(mode);
            }

            /// Returns credentials with this quota project, or with none.
            ///
            /// # Errors
            /// [`Config`](crate::ErrorKind::Config) for what cannot be a project.
            pub fn with_quota_project<'a>(
                &self,
                project: impl Into<Option<&'a str>>,
            ) -> Result<Self, Error> {
                self.0.with_quota_project(project.into()).map(Self)
            }

            /// Returns credentials with the quota project of the variable
            /// `GOOGLE_CLOUD_QUOTA_PROJECT`; these credentials if it is unset.
            ///
            /// # Errors
            /// [`Config`](crate::ErrorKind::Config) if it holds what cannot be a
            /// project.
            pub fn with_quota_project_from_environment(&self) -> Result<Self, Error> {
                self.0.with_quota_project_from_environment().map(Self)
            }

            /// Returns credentials for another account attached to this machine.
            /// This is not impersonation.
            ///
            /// # Errors
            /// [`Config`](crate::ErrorKind::Config) for what cannot be an
            /// account; [`InvalidOperation`](crate::ErrorKind::InvalidOperation)
            /// if the tokens are not those of attached accounts.
            pub fn with_service_account(
                &self,
                account: impl Into<String>,
            ) -> Result<Self, Error> {
                self.0.with_service_account(account.into()).map(Self)
            }

            /// Puts a token in the place of the one that is held, or drops it:
            /// for tests, and as programs do that set google-auth's `token` and
            /// `expiry`.
            ///
            /// # Errors
            /// [`Config`](crate::ErrorKind::Config) for a token that cannot be
            /// sent.
            #[cfg(any(test, feature = "test-util"))]
            pub fn set_token(
                &self,
                token: Option<&str>,
                expires_at: Option<SystemTime>,
            ) -> Result<(), Error> {
                self.0.set_token(token, expires_at)
            }
        }

        impl ProvideHeaders for $name {
            fn provide_headers(&self) -> HeadersFuture<'_> {
                let mut spent = Duration::ZERO;
                match self.0.hot_headers::<Self>(&mut spent) {
                    Some(headers) => HeadersFuture::ready(Ok(headers)),
                    None => HeadersFuture::new(self.0.fetched_headers(spent)),
                }
            }

            fn provide_owned(self: std::sync::Arc<Self>) -> HeadersFuture<'static> {
                let mut spent = Duration::ZERO;
                match self.0.hot_headers::<Self>(&mut spent) {
                    Some(headers) => HeadersFuture::ready(Ok(headers)),
                    None => HeadersFuture::new(async move { self.0.fetched_headers(spent).await }),
                }
            }

            fn cached_headers(&self) -> Option<Headers> {
                Self::cached_headers(self)
            }

            fn invalidate_headers(&self, rejected: &Headers) -> bool {
                Self::invalidate_headers(self, rejected)
            }
        }
    };
}

shared_methods!(Credentials, AccessToken);
shared_methods!(IdTokenCredentials, IdToken);
