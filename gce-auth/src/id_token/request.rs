//! What google-auth does to a request with an ID token, in its names.

use std::sync::Arc;

use http::{HeaderMap, Method, Uri};

use crate::{
    credentials::{
        TokenState,
        renewal::{self, Renewable, Renewals},
    },
    id_token::IdTokenCredentials,
    io::threads::{Executor, LaneKey, WorkKind},
    refresh::{RefreshMode, Source},
    values::{
        error::{Error, ErrorKind},
        headers::{Headers, sendable},
    },
};

impl IdTokenCredentials {
    /// Does to the headers of a request what google-auth does before it is
    /// sent: [`refresh`](Self::refresh) where the token is not valid, and
    /// [`apply`](Self::apply).
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
        let _ = (method, uri);
        if renewal::must_refresh(self) {
            renewal::refreshed(self, self.refresh().await)?;
        }
        self.apply(headers)
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
        let _ = (method, uri);
        renewal::make_valid(self)?;
        self.apply(headers)
    }

    /// Puts the token that is held and the quota project onto `headers`, in
    /// place of what had the same name. No I/O; the token may have expired.
    ///
    /// # Errors
    /// [`InvalidOperation`](ErrorKind::InvalidOperation) where no token is held.
    pub fn apply(&self, headers: &mut HeaderMap) -> Result<(), Error> {
        let applied = self
            .front
            .held(|bearer| self.show(bearer), |shown| shown.apply_to(headers));
        applied.ok_or_else(|| {
            Error::new(ErrorKind::InvalidOperation, "no token is held yet")
                .with_hint("call refresh before apply, or call headers")
        })
    }

    /// [`apply`](Self::apply), with another token.
    ///
    /// # Errors
    /// [`Config`](ErrorKind::Config) for a token that cannot be sent.
    pub fn apply_token(&self, headers: &mut HeaderMap, token: &str) -> Result<(), Error> {
        let besides = self.besides.clone();
        Headers::new(sendable(token)?, besides).apply_to(headers);
        Ok(())
    }
}

impl Renewable for IdTokenCredentials {
    fn renewals(&self) -> &Renewals {
        &self.inner.renewals
    }

    fn state(&self) -> TokenState {
        self.token_state()
    }

    fn mode(&self) -> RefreshMode {
        Self::mode(self)
    }

    fn is_due(&self) -> bool {
        let now = self.inner.engine.now();
        self.inner.engine.keeper().renewal_may_be_due(now)
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
        WorkKind::Other
    }

    fn lane(&self) -> LaneKey {
        Source::lane(&*self.inner.source).clone()
    }
}
