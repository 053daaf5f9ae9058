//! A value that expires, kept fresh for all who need it: when it is
//! fetched, who fetches it and who waits. Knows no HTTP, no URL and no JSON.

pub(crate) mod cache;
mod callers;
pub(crate) mod past;
pub(crate) mod policy;
pub(crate) mod reader;
mod reason;
pub(crate) mod refreshes;
pub(crate) mod shared;
pub(crate) mod shared_map;
pub(crate) mod slot;
pub(crate) mod source;
pub(crate) mod thread_local;
pub(crate) mod unsettled;
pub(crate) mod value;

pub use source::RefreshMode;
pub(crate) use source::{FetchContext, Source};

#[cfg(all(test, not(gce_auth_loom)))]
mod tests;
