//! The Google APIs that stand beside the metadata server.

pub(crate) mod call;
pub(crate) mod iam;
pub(crate) mod oauth;
