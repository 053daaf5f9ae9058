//! Verification of ID tokens that others send. Needs no metadata server.

mod builder;
mod claims;
mod keys;
mod token;
mod verify;

pub use self::{builder::IdTokenVerifierBuilder, claims::VerifiedClaims, verify::IdTokenVerifier};

#[cfg(all(test, not(gce_auth_loom)))]
mod tests;
