//! Where the settings of a credential come from.

use std::borrow::Cow;

use crate::tokens::info::CredentialsInfo;

/// Where the settings of a credential come from; not a part of what it asks
/// for.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    /// How [`CredentialsInfo`] calls it.
    pub(crate) place: Cow<'static, str>,
}

impl Origin {
    /// The program.
    pub(crate) const PROGRAM: Self = Self {
        place: Cow::Borrowed("the program"),
    };

    #[cfg(feature = "adc")]
    pub(crate) fn new(place: impl Into<Cow<'static, str>>) -> Self {
        Self {
            place: place.into(),
        }
    }

    pub(crate) fn info(&self, credential_type: &'static str, principal: String) -> CredentialsInfo {
        CredentialsInfo {
            source: self.place.clone(),
            credential_type,
            principal,
        }
    }
}
