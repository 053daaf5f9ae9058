//! The document: one versioned tree that serves every path, what it is made from, and what lies
//! over it.

mod carry_over;
pub(crate) mod change;
mod client_views;
pub(crate) mod document_source;
pub(crate) mod limits;
mod overlay;
pub(crate) mod patch;
mod patching;
pub(crate) mod places;
mod render_cache;
mod typed;
mod versions;

pub(crate) use carry_over::carry_over;
pub(crate) use document_source::DocumentSource;
pub(crate) use versions::{Document, etag_of};
