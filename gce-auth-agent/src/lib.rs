//! A metadata server of its own for the processes of one host, pod or sandbox: one identity behind
//! it, cached, and narrowed for each caller.
//!
//! [`AgentBuilder::start`] binds the listeners and serves on a runtime of its own.
//!
//! - [`caller`]: which process opened a connection. Asks the kernel, and nothing that was sent.
//! - [`policy`]: from a file to rules, from a caller and a request to a decision. Pure.

#![forbid(unsafe_code)]
#![allow(
    clippy::exhaustive_enums,
    clippy::exhaustive_structs,
    clippy::must_use_candidate,
    reason = "the command is released together with this crate, and matches on all of these"
)]

mod admin;
mod agent;
mod asked_value;
mod audit;
mod builder;
pub mod caller;
mod clock;
mod connection;
mod control;
mod credential;
mod decisions;
mod error;
mod flights;
#[cfg(feature = "_fuzz")]
#[doc(hidden)]
pub mod fuzzing;
mod guard;
mod kept;
mod listeners;
mod metrics;
mod page;
pub mod policy;
mod rate;
mod reading;
mod record;
mod service;
mod source;
mod state;
mod tokens;
mod turn;
mod values;

pub use agent::Agent;
pub use audit::AuditTarget;
pub use builder::{AgentBuilder, Handed, HandedSocket};
pub use error::StartError;
pub use gce_auth_server::listen::Network;
