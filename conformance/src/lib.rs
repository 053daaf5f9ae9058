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
