//! Floor 2: the protocol, pure. Bytes in, values out; time is an argument.

#[cfg(feature = "iam")]
pub(crate) mod iam;
pub(crate) mod request;
pub(crate) mod response;
pub(crate) mod retry;
