//! The universe domain, asked for once.

use crate::{
    tokens::{credentials::Credentials, handle::Handle},
    values::error::Error,
};

impl Credentials {
    /// Returns the universe domain: what was set, else what the metadata server
    /// says, which is asked once.
    ///
    /// # Errors
    /// Whatever keeps the server from answering; an error is never taken for
    /// the default universe.
    pub async fn universe_domain(&self) -> Result<String, Error> {
        if let Some(known) = self.0.known_universe() {
            return Ok(known);
        }
        let found = self.client().universe_domain().await?;
        Ok(self.0.inner.universe.get_or_init(|| found).clone())
    }

    /// [`universe_domain`](Self::universe_domain), waiting on this thread.
    ///
    /// # Errors
    /// As for [`universe_domain`](Self::universe_domain).
    pub fn blocking_universe_domain(&self) -> Result<String, Error> {
        self.0.universe_domain()
    }
}

impl Handle {
    pub(crate) fn universe_domain(&self) -> Result<String, Error> {
        if let Some(known) = self.known_universe() {
            return Ok(known);
        }
        let found = self.inner.source.client().blocking_universe_domain()?;
        Ok(self.inner.universe.get_or_init(|| found).clone())
    }

    pub(crate) fn known_universe(&self) -> Option<String> {
        let set = self.inner.options.universe_domain.as_deref();
        set.or_else(|| self.inner.source.universe_domain())
            .or_else(|| self.inner.universe.get().map(String::as_str))
            .map(str::to_owned)
    }
}
