//! Access tokens and ID tokens, and the headers made of them.

// The page of docs has what these implement first, in this order.
pub(crate) mod credentials;
pub(crate) mod id_token_credentials;

pub(crate) mod builder;
pub(crate) mod id_token_builder;

mod methods;

mod account;
#[cfg(feature = "iam")]
mod boundary;
#[cfg(feature = "iam")]
mod boundary_lookup;
#[cfg(feature = "adc")]
pub(crate) mod file;
#[cfg(any(test, feature = "test-util"))]
mod fixed;
pub(crate) mod handle;
mod hot;
#[cfg(feature = "iam")]
pub(crate) mod iam_caller;
pub(crate) mod id_token;
#[cfg(feature = "iam")]
pub(crate) mod impersonate;
pub(crate) mod info;
mod kinds;
#[cfg(feature = "adc")]
mod project;
#[cfg(feature = "adc")]
mod self_signed;
mod settings;
#[cfg(feature = "iam")]
mod signing;
pub(crate) mod source;
pub(crate) mod status;
mod universe;
mod wait_ready;
mod with;

#[cfg(all(test, not(gce_auth_loom)))]
mod tests;
