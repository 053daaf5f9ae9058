//! What google-auth does to a request, in its names and in its order.

use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};

#[cfg(feature = "iam")]
use crate::values::headers::X_ALLOWED_LOCATIONS;
use crate::{
    credentials::{
        Credentials, TokenState,
        renewal::{self, Renewable, Renewals},
    },
    io::threads::{Executor, LaneKey, WorkKind},
    refresh::RefreshMode,
    values::{
        error::{Error, ErrorKind},
        headers::{Headers, sendable},
    },
};

const X_GOOG_API_CLIENT: HeaderName = HeaderName::from_static("x-goog-api-client");
/// How a token was used, as Google's API clients report it.
const METRIC: &str = "cred-type/mds";

impl Credentials {
    /// Asks for the account and for a token, now, and keeps both.
    ///
    /// The token was asked for after this was called. Calls that overlap share
    /// one request.
    ///
    /// # Errors
    /// As for [`headers`](Self::headers); the token that was held stays.
    pub async fn refresh(&self) -> Result<(), Error> {
        self.0.engine.refresh().await?;
        if self.0.source.learned().account.is_none() && self.0.source.asks_a_server() {
            // Somebody else's credentials made the flight that this one shared.
            self.account_on(WorkKind::AccessToken).await?;
        }
        Ok(())
    }

    /// [`refresh`](Self::refresh), waiting on this thread.
    ///
    /// # Errors
    /// As for [`refresh`](Self::refresh).
    pub fn blocking_refresh(&self) -> Result<(), Error> {
        self.0.engine.blocking_refresh()?;
        if self.0.source.learned().account.is_none() && self.0.source.asks_a_server() {
            self.blocking_account()?;
        }
        Ok(())
    }

    /// Does to the headers of a request what google-auth does before it is
    /// sent: [`refresh`](Self::refresh) where the token is not valid, starts the
    /// lookup of the regional access boundary where one was asked for and is
    /// due, adds `cred-type/mds` to `x-goog-api-client`, and
    /// [`apply`](Self::apply)s.
    ///
    /// For code that comes from google-auth; everything else calls
    /// [`headers`](Self::headers), which asks for less.
    ///
    /// # Errors
    /// As for [`headers`](Self::headers). Never while the token is good, even
    /// if it should be renewed and cannot be.
    ///
    /// # Cancel safety
    /// As for [`headers`](Self::headers); the headers are changed last.
    pub async fn before_request(
        &self,
        method: &Method,
        uri: &Uri,
        headers: &mut HeaderMap,
    ) -> Result<(), Error> {
        let _ = method;
        if !self.0.source.is_anonymous() && renewal::must_refresh(self) {
            renewal::refreshed(self, self.refresh().await)?;
        }
        #[cfg(feature = "iam")]
        self.ready_boundary(uri).await?;
        #[cfg(not(feature = "iam"))]
        let _ = uri;
        self.finish(headers)
    }

    /// [`before_request`](Self::before_request), waiting on this thread.
    ///
    /// # Errors
    /// As for [`before_request`](Self::before_request).
    pub fn blocking_before_request(
        &self,
        method: &Method,
        uri: &Uri,
        headers: &mut HeaderMap,
    ) -> Result<(), Error> {
        let _ = method;
        self.make_ready(uri)?;
        self.finish(headers)
    }

    /// Puts the token that is held, the quota project and the boundary onto
    /// `headers`, in place of what had the same name. No I/O; the token may
    /// have expired.
    ///
    /// # Errors
    /// [`InvalidOperation`](ErrorKind::InvalidOperation) where no token is held.
    pub fn apply(&self, headers: &mut HeaderMap) -> Result<(), Error> {
        if self.apply_held(headers) {
            return Ok(());
        }
        Err(
            Error::new(ErrorKind::InvalidOperation, "no token is held yet")
                .with_hint("call refresh before apply, or call headers"),
        )
    }

    /// [`apply`](Self::apply), with another token.
    ///
    /// # Errors
    /// [`Config`](ErrorKind::Config) for a token that cannot be sent.
    pub fn apply_token(&self, headers: &mut HeaderMap, token: &str) -> Result<(), Error> {
        let besides = self.0.besides.clone();
        self.put(&Headers::new(sendable(token)?, besides), headers);
        Ok(())
    }

    /// Puts `headers`, and the boundary, onto `map`.
    #[cfg_attr(
        not(feature = "iam"),
        expect(clippy::unused_self, reason = "a boundary is the credential's")
    )]
    pub(super) fn put(&self, headers: &Headers, map: &mut HeaderMap) {
        headers.apply_to(map);
        #[cfg(feature = "iam")]
        if let Some(boundary) = &self.0.boundary {
            match boundary.header(self.0.engine.now()) {
                Some(locations) => map.insert(X_ALLOWED_LOCATIONS, locations),
                // What is not known to hold must not be claimed.
                None => map.remove(X_ALLOWED_LOCATIONS),
            };
        }
    }

    fn finish(&self, headers: &mut HeaderMap) -> Result<(), Error> {
        let mut finished = headers.clone();
        self.apply(&mut finished)?;
        add_metric(&mut finished);
        *headers = finished;
        Ok(())
    }

    /// [`look_up_boundary`](Self::look_up_boundary), as a future.
    #[cfg(feature = "iam")]
    async fn ready_boundary(&self, uri: &Uri) -> Result<(), Error> {
        if !self.boundary_needs_work(uri) {
            self.look_up_boundary(uri);
            return Ok(());
        }
        let (credentials, uri) = (self.clone(), uri.clone());
        let work = move |_: &_| {
            credentials.look_up_boundary(&uri);
            Ok(())
        };
        self.client().background(WorkKind::Other, work).await
    }

    fn make_ready(&self, uri: &Uri) -> Result<(), Error> {
        if !self.0.source.is_anonymous() {
            renewal::make_valid(self)?;
        }
        #[cfg(feature = "iam")]
        self.look_up_boundary(uri);
        #[cfg(not(feature = "iam"))]
        let _ = uri;
        Ok(())
    }
}

impl Renewable for Credentials {
    fn renewals(&self) -> &Renewals {
        &self.0.renewals
    }

    fn state(&self) -> TokenState {
        self.token_state()
    }

    fn mode(&self) -> RefreshMode {
        Self::mode(self)
    }

    fn is_due(&self) -> bool {
        let now = self.0.engine.now();
        self.0.engine.keeper().renewal_may_be_due(now)
    }

    fn holds_good_token(&self) -> bool {
        self.cached_token().is_some()
    }

    fn refresh_now(&self) -> Result<(), Error> {
        self.blocking_refresh()
    }

    fn executor(&self) -> &Arc<dyn Executor> {
        &self.client().0.executor
    }

    fn kind(&self) -> WorkKind {
        WorkKind::AccessToken
    }

    fn lane(&self) -> LaneKey {
        self.client().0.lane.clone()
    }
}

/// Adds the metric to what `x-goog-api-client` says, or says it alone.
fn add_metric(headers: &mut HeaderMap) {
    let said = headers.get(X_GOOG_API_CLIENT).map(HeaderValue::as_bytes);
    let mut value = said.unwrap_or_default().to_vec();
    if said.is_some() {
        value.push(b' ');
    }
    value.extend_from_slice(METRIC.as_bytes());
    if let Ok(value) = HeaderValue::from_bytes(&value) {
        headers.insert(X_GOOG_API_CLIENT, value);
    }
}
