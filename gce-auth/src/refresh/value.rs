//! What can be kept.

use crate::{
    refresh::policy::{Deadlines, Policy},
    values::token::Validity,
};

/// A value that expires.
pub(crate) trait Value: Clone + Send + Sync + 'static {
    fn validity(&self) -> Validity;

    /// Whether `other` is the same token, whatever its lifetime.
    fn is_same(&self, other: &Self) -> bool;

    /// Whether a value that is held stays if a renewal brings one that ends
    /// earlier.
    fn outlives_renewals() -> bool {
        true
    }

    /// Whether renewals wait after one that no thread began.
    fn waits_for_threads() -> bool {
        true
    }

    /// Returns the moments at which the value becomes stale and invalid;
    /// `sample`, from 0 to 1, places the jitter.
    fn deadlines(&self, policy: &Policy, sample: f64) -> Deadlines {
        policy.deadlines(&self.validity(), sample)
    }
}
