//! Signatures without a key file, made by IAM.

mod builder;
mod sign;
mod signature;
mod url;

pub use self::{
    builder::SignerBuilder,
    sign::Signer,
    signature::{Signature, SignedJwt},
    url::{SignedUrl, StorageUrl},
};

#[cfg(all(test, not(gce_auth_loom)))]
mod tests;
