//! google-auth's methods of both kinds of credentials: names and docs.

use http::{HeaderMap, Method, Uri};

use crate::{
    tokens::{
        credentials::Credentials, id_token_credentials::IdTokenCredentials, status::TokenState,
    },
    values::error::Error,
};

/// Implements google-auth's methods for `$name`, a tuple struct around a
/// `Handle`.
macro_rules! google_auth_methods {
    ($name:ident) => {
        impl $name {
            /// Fetches a token, now, and keeps it; of access tokens of the
            /// metadata server, fetches the account before.
            ///
            /// The token is requested after this call. Calls that overlap share
            /// one request.
            ///
            /// # Errors
            /// As for [`headers`](Self::headers); the token that was held stays.
            pub async fn refresh(&self) -> Result<(), Error> {
                self.0.refresh().await
            }

            /// [`refresh`](Self::refresh), waiting on this thread.
            ///
            /// # Errors
            /// As for [`refresh`](Self::refresh).
            pub fn blocking_refresh(&self) -> Result<(), Error> {
                self.0.blocking_refresh()
            }

            /// Does to the headers of a request what google-auth does before it
            /// is sent: [`refresh`](Self::refresh)es a token that is not valid,
            /// starts the lookup of the regional access boundary if one was
            /// asked for and is due, adds `cred-type/mds` to `x-goog-api-client`
            /// (for access tokens of the metadata server), and
            /// [`apply`](Self::apply)s.
            ///
            /// For code that comes from google-auth; everything else calls
            /// [`headers`](Self::headers), which sends fewer requests.
            ///
            /// # Errors
            /// As for [`headers`](Self::headers). Never while the token is good,
            /// even if it should be renewed and cannot be.
            ///
            /// # Cancel safety
            /// As for [`headers`](Self::headers); the headers are changed last.
            pub async fn before_request(
                &self,
                _method: &Method,
                uri: &Uri,
                headers: &mut HeaderMap,
            ) -> Result<(), Error> {
                self.0.before_request(uri, headers).await
            }

            /// [`before_request`](Self::before_request), waiting on this thread.
            ///
            /// # Errors
            /// As for [`before_request`](Self::before_request).
            pub fn blocking_before_request(
                &self,
                _method: &Method,
                uri: &Uri,
                headers: &mut HeaderMap,
            ) -> Result<(), Error> {
                self.0.blocking_before_request(uri, headers)
            }

            /// Puts the token that is held, the quota project and the boundary
            /// onto `headers`, in place of what had the same name; a quota
            /// project or a boundary of the caller's own stays if these
            /// credentials have none. No I/O; the token may have expired.
            ///
            /// # Errors
            /// [`InvalidOperation`](crate::ErrorKind::InvalidOperation) if no
            /// token is held.
            pub fn apply(&self, headers: &mut HeaderMap) -> Result<(), Error> {
                self.0.apply(headers)
            }

            /// [`apply`](Self::apply), with another token.
            ///
            /// # Errors
            /// [`Config`](crate::ErrorKind::Config) for a token that cannot be
            /// sent.
            pub fn apply_token(&self, headers: &mut HeaderMap, token: &str) -> Result<(), Error> {
                self.0.apply_token(headers, token)
            }

            /// Returns whether the token that is held expires within 225 s, or
            /// has expired: google-auth's `expired`. `false` if none is held, or
            /// if it never expires. No I/O.
            #[must_use]
            pub fn is_expired(&self) -> bool {
                self.0.held().is_some() && self.token_state() != TokenState::Fresh
            }

            /// Returns whether a token is held that does not expire within
            /// 225 s: google-auth's `valid`. No I/O.
            ///
            /// [`headers`](Self::headers) returns tokens until they really
            /// expire.
            #[must_use]
            pub fn is_valid(&self) -> bool {
                self.token_state() == TokenState::Fresh
            }

            /// Returns how good the token is that is held: stale from 225 s
            /// before it expires, invalid when it has. No I/O.
            ///
            /// Without the jitter and the skew with which the library refreshes;
            /// [`status`](Self::status) has them.
            #[must_use]
            pub fn token_state(&self) -> TokenState {
                self.0.token_state()
            }
        }
    };
}

google_auth_methods!(Credentials);
google_auth_methods!(IdTokenCredentials);
