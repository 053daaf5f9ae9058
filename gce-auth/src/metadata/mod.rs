//! Floor 5: what the metadata server knows, by topic.

mod account;
pub(crate) mod ask;
mod get;
mod place;
mod task;
