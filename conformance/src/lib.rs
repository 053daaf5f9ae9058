//! Drivers and runners that hold gce-auth against other implementations.
//!
//! Foreign clients live under `clients/`, one folder for each language, each a small program as its
//! users would write it. [`interop`] gets their toolchains ready and runs them; the tests in
//! `tests/` point them at the emulator and judge what they found.

#![forbid(unsafe_code)]

mod env;
pub mod interop;

/// The examples of the README, which are to compile, and to run where they can.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub mod readme {}

/// The examples of the book in `docs/` that are Rust.
#[cfg(doctest)]
pub mod book {
    #[doc = include_str!("../../docs/src/howto/another_account.md")]
    pub mod another_account {}
    #[doc = include_str!("../../docs/src/tutorials/service_to_service.md")]
    pub mod service_to_service {}
    #[doc = include_str!("../../docs/src/tutorials/tests.md")]
    pub mod tests {}
}
