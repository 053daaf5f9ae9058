//! A metadata server of its own for the processes of one host, pod or sandbox: one identity behind
//! it, cached, and narrowed for each caller.
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

pub mod caller;
pub mod policy;
