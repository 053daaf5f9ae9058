//! The universe domain, asked for once.

use crate::{
    tokens::{credentials::Credentials, handle::Handle},
    values::error::Error,
};

impl Credentials {
    /// Returns the universe domain: what was set, else that of the credentials
    /// that these are made of, else what the metadata server says, which is
    /// asked once.
    ///
    /// # Errors
    /// Whatever keeps the server from answering; an error is never taken for
    /// the default universe.
    pub async fn universe_domain(&self) -> Result<String, Error> {
        if let Some(known) = self.0.known_universe() {
            return Ok(known);
        }
        let asked = self.0.innermost();
        let found = asked.inner.source.client().universe_domain().await?;
        Ok(asked.inner.universe.get_or_init(|| found).clone())
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
        let asked = self.innermost();
        let found = asked.inner.source.client().blocking_universe_domain()?;
        Ok(asked.inner.universe.get_or_init(|| found).clone())
    }

    /// Returns the universe of these credentials, or of the first among those
    /// that they are made of which knows one.
    pub(crate) fn known_universe(&self) -> Option<String> {
        self.layers().find_map(|handle| {
            let set = handle.inner.options.universe_domain.as_deref();
            set.or_else(|| handle.inner.source.universe_domain())
                .or_else(|| handle.inner.universe.get().map(String::as_str))
                .map(str::to_owned)
        })
    }

    /// These credentials, those that they are made of, and so on.
    fn layers(&self) -> impl Iterator<Item = &Self> {
        std::iter::successors(Some(self), |handle| {
            handle.inner.source.made_of().map(|made_of| &made_of.0)
        })
    }

    fn innermost(&self) -> &Self {
        self.layers().last().unwrap_or(self)
    }
}
