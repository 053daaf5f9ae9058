//! Floor 4: reaching the metadata server. Config, one call with its
//! attempts, and whether this is Google Cloud at all.

#[cfg(any(feature = "iam", feature = "verify"))]
pub(crate) mod api;
pub(crate) mod builder;
pub(crate) mod call;
pub(crate) mod config;
#[cfg(feature = "iam")]
pub(crate) mod iam;
mod ping;
pub(crate) mod residency;
pub(crate) mod secure;
#[cfg(feature = "iam")]
pub(crate) mod tries;
