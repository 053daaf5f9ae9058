//! Floor 5: what the metadata server knows, by topic.

mod account;
mod get;
mod place;
mod task;
