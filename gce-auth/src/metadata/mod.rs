//! Floor 5: what the metadata server knows, by topic.

mod account;
pub(crate) mod ask;
pub(crate) mod change;
mod follow;
mod get;
mod guest;
mod machine;
mod place;
mod task;
pub(crate) mod watch;
