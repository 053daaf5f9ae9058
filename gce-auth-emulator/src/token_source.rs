//! Access tokens from elsewhere, for those who want real ones.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

type Fetch = dyn Fn(&str, &[String]) -> Result<(String, Duration), String> + Send + Sync;

/// What a program gives in place of the emulator's own tokens.
#[derive(Clone)]
pub(crate) struct TokenSource(Arc<Fetch>);

impl TokenSource {
    pub(crate) fn new(
        fetch: impl Fn(&str, &[String]) -> Result<(String, Duration), String> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(fetch))
    }

    /// A token for an account and its scopes, and how long it is good for. May block.
    pub(crate) fn fetch(
        &self,
        email: &str,
        scopes: &[String],
    ) -> Result<(String, Duration), String> {
        (self.0)(email, scopes)
    }
}

impl fmt::Debug for TokenSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenSource")
    }
}
