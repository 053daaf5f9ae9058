//! The last requests and their answers, without secrets.

mod bodies;
mod entry;
mod heads;
mod kept;

pub(crate) use entry::Entry;
pub(crate) use kept::{Journal, full_path};
