//! Floor 6: access tokens and ID tokens, and the headers made of them.

mod account;
#[cfg(feature = "iam")]
mod boundary;
#[cfg(feature = "iam")]
mod boundary_lookup;
pub(crate) mod builder;
pub(crate) mod credentials;
#[cfg(any(test, feature = "test-util"))]
mod fixed;
pub(crate) mod handle;
pub(crate) mod id_token;
pub(crate) mod id_token_builder;
pub(crate) mod id_token_credentials;
#[cfg(feature = "iam")]
pub(crate) mod impersonate;
pub(crate) mod info;
mod kinds;
mod methods;
#[cfg(feature = "adc")]
mod project;
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
