//! Floor 2: the protocol, pure. Bytes in, values out; time is an argument.

#[cfg(any(feature = "iam", feature = "verify"))]
pub(crate) mod api;
#[cfg(feature = "iam")]
pub(crate) mod boundary;
pub(crate) mod date;
#[cfg(feature = "iam")]
pub(crate) mod grant;
pub(crate) mod http1;
#[cfg(feature = "iam")]
pub(crate) mod iam;
pub(crate) mod instance;
#[cfg(feature = "verify")]
pub(crate) mod jwks;
pub(crate) mod request;
pub(crate) mod response;
pub(crate) mod retry;
#[cfg(feature = "iam")]
pub(crate) mod signed_url;
