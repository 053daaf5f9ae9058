//! Why a refresh is wanted.

use crate::refresh::policy::Freshness;

/// Why a caller wants a refresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// There was no value that is at least this good to go on with.
    Need(Freshness),
    /// The value is stale: fetch the next one unless a refresh is out.
    Renew,
    /// Fetch the next one unless a refresh is out, and all that a forced
    /// refresh asks for; also while the value is fresh.
    RenewFully,
    /// The next value is needed, whichever refresh brings it.
    #[cfg(feature = "verify")]
    Next,
    /// The program asks for a value that is newer than this moment.
    Force,
}

impl Reason {
    pub(crate) fn is_full(self) -> bool {
        matches!(self, Self::Force | Self::RenewFully)
    }

    /// Whether a value that is at hand is no answer.
    pub(crate) fn is_for_another(self) -> bool {
        !matches!(self, Self::Need(_))
    }

    pub(crate) fn is_renewal(self) -> bool {
        matches!(self, Self::Renew | Self::RenewFully)
    }
}
