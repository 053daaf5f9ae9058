//! The Google APIs beside the metadata server: IAM Credentials, the Security Token Service, OAuth,
//! the keys to verify with, and what tokens mean.

mod assertion;
mod aws;
pub(crate) mod call;
pub(crate) mod dispatch;
pub(crate) mod encoding;
pub(crate) mod endpoint;
pub(crate) mod errors;
mod iam;
mod lookup;
mod oauth;
mod oidc;
mod project;
mod self_signed;
mod sts;
mod subject;
mod tokeninfo;
