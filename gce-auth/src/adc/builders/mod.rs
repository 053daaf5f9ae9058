//! Credentials described by the program, in place of a credentials file.
//!
//! A builder writes what the file would say and has it read by the same reader,
//! so that nothing is accepted here that is refused there.

pub(crate) mod authorized_user;
mod description;
pub(crate) mod external_account;
pub(crate) mod external_user;
pub(crate) mod service_account;
pub(crate) mod subject_token;
#[cfg(test)]
mod tests;
