//! Clouds of Google by their domains.

/// The universe domain of Google Cloud.
pub(crate) const DEFAULT_UNIVERSE: &str = "googleapis.com";
