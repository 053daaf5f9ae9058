//! The last requests and their answers, without secrets.

mod entry;
mod kept;

pub(crate) use entry::Entry;
pub(crate) use kept::{Journal, full_path};
