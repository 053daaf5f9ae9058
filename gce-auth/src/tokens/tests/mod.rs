//! Credentials in a world turned by hand.

mod access;
#[cfg(feature = "iam")]
mod boundary;
mod hits;
mod id_tokens;
#[cfg(feature = "iam")]
mod made_of;
mod methods;
mod sharing;
#[cfg(feature = "verify")]
mod shown;
mod told;
mod waiting;
