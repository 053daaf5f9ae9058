//! Credentials in a world turned by hand.

mod access;
#[cfg(feature = "iam")]
mod boundary;
mod id_tokens;
mod sharing;
mod waiting;
