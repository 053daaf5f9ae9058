//! The universe domain, asked for once.

use crate::{credentials::Credentials, values::error::Error};

impl Credentials {
    /// The universe domain: what was set, else what the metadata server says,
    /// which is asked once.
    ///
    /// # Errors
    /// Whatever keeps the server from answering; an error is never taken for
    /// the default universe.
    pub async fn universe_domain(&self) -> Result<String, Error> {
        if let Some(known) = self.known_universe() {
            return Ok(known);
        }
        let found = self.client().universe_domain().await?;
        Ok(self.0.universe.get_or_init(|| found).clone())
    }

    /// [`universe_domain`](Self::universe_domain), waiting on this thread.
    ///
    /// # Errors
    /// As for [`universe_domain`](Self::universe_domain).
    pub fn blocking_universe_domain(&self) -> Result<String, Error> {
        if let Some(known) = self.known_universe() {
            return Ok(known);
        }
        let found = self.client().blocking_universe_domain()?;
        Ok(self.0.universe.get_or_init(|| found).clone())
    }

    pub(super) fn known_universe(&self) -> Option<String> {
        let set = self.0.settled.universe_domain.as_ref();
        set.or_else(|| self.0.universe.get()).cloned()
    }
}
