//! The protocol, pure: which requests are let in, what they mean, how a value looks on the wire.

pub mod date;
pub mod etag;
pub mod fields;
pub mod guard;
pub mod hosts;
pub mod pages;
pub mod query;
pub mod render;
pub mod reply;
pub mod request;
pub mod route;
pub mod tree;

pub use reply::{Dialect, Reply};
pub use request::{Method, Request};
