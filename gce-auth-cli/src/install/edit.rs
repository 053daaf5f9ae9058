//! What an edit makes of a file.

use crate::exit::{Exit, Failure};

/// The file after an edit.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum After {
    /// The edit was made before, or there is nothing to undo.
    Same,
    Text(String),
    /// The file was made by the edit that is undone.
    Gone,
}

/// An edit, and the lines that tell what it changes: `+` and `-`, never a secret.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Edit {
    pub(crate) after: After,
    pub(crate) changes: Vec<String>,
}

impl Edit {
    pub(crate) fn none() -> Self {
        Self {
            after: After::Same,
            changes: Vec::new(),
        }
    }

    pub(crate) fn text(text: String, changes: Vec<String>) -> Self {
        Self {
            after: After::Text(text),
            changes,
        }
    }
}

/// Returns the failure of an edit that this file does not allow.
pub(crate) fn refused(why: impl Into<String>) -> Failure {
    Failure::new(Exit::Usage, why)
}
