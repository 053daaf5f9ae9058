//! What all builders hold: the file as it would be written, and options.

use std::fmt;

use serde_json::Value;

use crate::{adc::options::DefaultOptions, wire::credentials_file::written::Written};

/// A credentials file in the making. `Debug` shows nothing of it.
pub(super) struct Description {
    pub(super) file: Written,
    pub(super) options: DefaultOptions,
}

impl Description {
    pub(super) fn new(kind: &str) -> Self {
        Self {
            file: Written::new(kind),
            options: DefaultOptions::new(),
        }
    }

    /// Writes a member of the file.
    pub(super) fn with(self, name: &str, value: impl Into<Value>) -> Self {
        Self {
            file: self.file.with(name, Some(value)),
            ..self
        }
    }

    pub(super) fn options(self, options: DefaultOptions) -> Self {
        Self { options, ..self }
    }
}

impl fmt::Debug for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Description").finish_non_exhaustive()
    }
}
