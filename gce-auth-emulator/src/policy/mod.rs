//! Permissions: principals, their tokens, and what was configured about both.

pub(crate) mod aws;
pub(crate) mod boundary;
pub(crate) mod cloud;
pub(crate) mod expression;
pub(crate) mod principal;
pub(crate) mod providers;
pub(crate) mod settings;
pub(crate) mod tokens;
pub(crate) mod users;
