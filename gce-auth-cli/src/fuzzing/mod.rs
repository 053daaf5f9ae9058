//! What the fuzz targets call. Not part of the API.

mod edits;
mod marked;
mod printed;
mod protocols;
mod provided;

pub use edits::install;
pub use printed::printed;
pub use protocols::{docker, git, goauth, keyring};
pub use provided::{bazel, cargo, executable, kubectl, kubelet};
