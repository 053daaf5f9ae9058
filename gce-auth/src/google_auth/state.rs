//! google-auth's exact freshness: its thresholds, without jitter or skew.

use std::time::Duration;

use crate::{
    tokens::{handle::Handle, status::TokenState},
    values::token::{Now, Validity},
};

/// google-auth calls a token expired this long before it expires.
const THRESHOLD: Duration = Duration::from_secs(225);

impl Handle {
    pub(super) fn token_state(&self) -> TokenState {
        let held = self.held();
        let validity = held.as_ref().map(|entry| entry.value.validity());
        token_state(validity, self.now())
    }
}

/// The state of a token that ends with `validity`.
fn token_state(validity: Option<&Validity>, now: Now) -> TokenState {
    match validity {
        None => TokenState::Invalid,
        Some(validity) if validity.ends_within(Duration::ZERO, now) => TokenState::Invalid,
        Some(validity) if validity.ends_within(THRESHOLD, now) => TokenState::Stale,
        Some(_) => TokenState::Fresh,
    }
}
