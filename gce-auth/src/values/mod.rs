//! The vocabulary of everything else. No I/O, no protocol.

#[cfg(feature = "iam")]
pub(crate) mod access_boundary;
pub(crate) mod address;
pub(crate) mod budget;
#[cfg(feature = "tls")]
pub(crate) mod certificate;
pub(crate) mod endpoint;
pub(crate) mod error;
pub(crate) mod headers;
pub(crate) mod jwt;
pub(crate) mod scope;
pub(crate) mod secret;
pub(crate) mod token;
pub(crate) mod universe;
