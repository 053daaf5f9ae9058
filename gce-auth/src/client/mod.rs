//! Floor 4: reaching the metadata server. Settings, one call with its
//! attempts, and whether this is Google Cloud at all.

#[cfg(any(feature = "iam", feature = "verify"))]
pub(crate) mod api;
pub(crate) mod builder;
pub(crate) mod call;
#[cfg(feature = "iam")]
pub(crate) mod iam;
mod ping;
pub(crate) mod residency;
pub(crate) mod secure;
pub(crate) mod settings;
#[cfg(feature = "iam")]
pub(crate) mod tries;
