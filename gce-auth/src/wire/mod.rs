//! Floor 2: the protocol, pure. Bytes in, values out; time is an argument.

pub(crate) mod request;
pub(crate) mod response;
pub(crate) mod retry;
