//! Asking a server. The configuration of a client, the one retry
//! loop, a file for each server that is asked, and detection.

#[cfg(any(feature = "iam", feature = "verify"))]
pub(crate) mod api;
mod background;
pub(crate) mod builder;
pub(crate) mod config;
pub(crate) mod evidence;
#[cfg(feature = "iam")]
pub(crate) mod grants;
#[cfg(feature = "iam")]
pub(crate) mod iam;
pub(crate) mod metadata;
#[cfg(feature = "tls")]
pub(crate) mod mutual_tls;
#[cfg(feature = "iam")]
pub(crate) mod oauth;
pub(crate) mod residency;
mod retry;
