//! Paths of metadata values, as people write them.

use crate::exit::{Exit, Failure};

/// Returns the path below `computeMetadata/v1/`.
pub(crate) fn metadata_path(text: &str) -> Result<&str, Failure> {
    if text.contains('?') {
        let why = format!(
            "{text:?} is not a path: leave out what follows the question mark; --recursive is for \
             a directory and all below it"
        );
        return Err(Failure::new(Exit::Usage, why));
    }
    let path = text.trim_start_matches('/');
    Ok(path.strip_prefix("computeMetadata/v1/").unwrap_or(path))
}
