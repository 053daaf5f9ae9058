//! The file of `--boundary`.

use std::path::Path;

use gce_auth::CredentialAccessBoundary;

use crate::{
    exit::{Exit, Failure},
    input,
};

/// Reads a Credential Access Boundary.
pub(crate) fn boundary_of(file: &Path) -> Result<CredentialAccessBoundary, Failure> {
    CredentialAccessBoundary::from_json(&input::text(Some(file))?).map_err(|error| {
        let why = format!("{}: {}", file.display(), Failure::from(error));
        Failure::new(Exit::Usage, why)
    })
}
