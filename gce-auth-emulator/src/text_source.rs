//! Texts that are given as they are, or lie in files.

use std::path::{Path, PathBuf};

/// Where a text stands.
#[derive(Clone, Debug)]
pub(crate) enum TextSource {
    Text(String),
    File(PathBuf),
}

impl TextSource {
    pub(crate) fn path(&self) -> Option<&Path> {
        match self {
            Self::Text(_) => None,
            Self::File(path) => Some(path),
        }
    }

    /// Reads the text and understands it. Errors name the file.
    pub(crate) fn read<T>(
        &self,
        understand: impl FnOnce(&str) -> Result<T, String>,
    ) -> Result<T, String> {
        match self {
            Self::Text(text) => understand(text),
            Self::File(path) => std::fs::read_to_string(path)
                .map_err(|error| error.to_string())
                .and_then(|text| understand(&text))
                .map_err(|why| format!("{}: {why}", path.display())),
        }
    }
}
