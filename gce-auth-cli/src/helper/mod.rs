//! Credential helpers of other tools. A file for each protocol, pure: the input and a source of
//! tokens in, the output out.

pub(crate) mod bazel;
pub(crate) mod cargo;
pub(crate) mod docker;
pub(crate) mod executable;
pub(crate) mod export;
pub(crate) mod git;
pub(crate) mod goauth;
pub(crate) mod gradle;
pub(crate) mod hosts;
pub(crate) mod index_url;
pub(crate) mod json;
pub(crate) mod keyring;
pub(crate) mod kubectl;
pub(crate) mod kubelet;
pub(crate) mod maven;
pub(crate) mod names;
pub(crate) mod npmrc;
pub(crate) mod token;
