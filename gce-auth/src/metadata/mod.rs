//! What the metadata server knows, by topic.

mod account;
pub(crate) mod change;
mod get;
mod guest;
mod machine;
mod place;
mod poll;
pub(crate) mod request;
pub(crate) mod watch;
