//! Drivers and runners that hold gce-auth against other implementations.
//!
//! Foreign clients live under `clients/`, one folder for each language, each a small program as its
//! users would write it. [`interop`] gets their toolchains ready and runs them; the tests in
//! `tests/` point them at the emulator and judge what they found.

#![forbid(unsafe_code)]

mod env;
pub mod interop;
