//! The Compute Engine metadata protocol, server side: sockets, HTTP, the guard, routing, rendering.
//!
//! This crate serves a [`Service`] on [listeners](listen) and knows neither a document nor a
//! policy. Two services are built on it: the emulator of the crate `gce-auth-emulator`, and the
//! agent of the crate `gce-auth-agent`. Their releases go together with this crate's; its API
//! follows their needs.
//!
//! - [`listen`]: TCP ports, Unix sockets, TLS, which addresses may connect, and whose a connection
//!   is.
//! - [`http`]: reads requests and writes answers. Nothing but the request as it was sent reaches
//!   the service: paths are raw.
//! - [`protocol`]: pure functions for a service to call: [`guard`](protocol::guard),
//!   [`route`](protocol::route), [`render`](protocol::render), [`query`](protocol::query),
//!   [`etag`](protocol::etag).
//! - [`service`]: the traits that a service implements.
//! - [`toml_depth`]: a bound on what a configuration file nests.

#![forbid(unsafe_code)]
#![allow(
    clippy::exhaustive_enums,
    clippy::exhaustive_structs,
    clippy::must_use_candidate,
    reason = "the services are released together with this crate, and match on all of these"
)]

mod header_case;
pub mod http;
pub mod listen;
pub mod protocol;
pub mod service;
pub mod toml_depth;

pub use http::{serve, serve_with_shutdown};
pub use service::{Answer, Hooks, Service};
