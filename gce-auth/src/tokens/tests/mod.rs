//! Credentials in a world turned by hand.

mod access;
#[cfg(feature = "iam")]
mod boundary;
mod id_tokens;
#[cfg(feature = "iam")]
mod made_of;
mod sharing;
mod told;
mod waiting;
