//! The identity of the machine: its service accounts, their tokens, and the keys that sign.

pub(crate) mod account_keys;
pub(crate) mod accounts;
pub(crate) mod agents;
pub(crate) mod api_certificate;
pub(crate) mod certificates;
pub(crate) mod claims;
pub(crate) mod jwt;
pub(crate) mod keys;
pub(crate) mod mds_certificate;
mod root;
pub(crate) mod standings;
pub(crate) mod token_issuer;
