//! Floor 4: reaching the metadata server. Settings, one call with its
//! attempts, and whether this is Google Cloud at all.

pub(crate) mod call;
pub(crate) mod residency;
pub(crate) mod settings;
