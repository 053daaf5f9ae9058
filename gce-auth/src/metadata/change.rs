//! A change of a place of the tree.

use std::{fmt, sync::Arc};

use crate::metadata::request::MetadataValue;

/// What a place of the tree has become: see [`Watch`](crate::Watch).
#[derive(Clone, PartialEq, Eq)]
pub struct MetadataChange {
    value: Option<Arc<MetadataValue>>,
    etag: Option<String>,
}

impl MetadataChange {
    /// Returns the value now; `None` where there is none: it was deleted, or never set.
    #[must_use]
    pub fn value(&self) -> Option<&MetadataValue> {
        self.value.as_deref()
    }

    /// Returns the text of the value now; `None` as for [`value`](Self::value).
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        self.value().map(MetadataValue::text)
    }

    /// Returns what the server calls this version, where it says: see
    /// [`Watch::last_etag`](crate::Watch::last_etag).
    #[must_use]
    pub fn etag(&self) -> Option<&str> {
        self.etag.as_deref()
    }

    pub(super) fn found(value: MetadataValue, etag: Option<String>) -> Self {
        Self {
            value: Some(Arc::new(value)),
            etag,
        }
    }

    pub(super) fn missing() -> Self {
        Self {
            value: None,
            etag: None,
        }
    }
}

impl fmt::Debug for MetadataChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MetadataChange")
            .field("value", &self.value())
            .field("etag", &self.etag)
            .finish()
    }
}
