//! What is measured: one section to a file.

pub mod agent;
pub mod apply;
pub mod callers;
pub mod command;
pub mod crowd;
pub mod emulator;
pub mod first;
pub mod hot;
pub mod id_tokens;
pub mod programs;
pub mod refresh;
pub mod steps;
pub mod threads;

use std::{future::Future, hint::black_box, time::Duration};

use crate::{
    contestant::{Contestant, Failure},
    report::Report,
    server::Server,
};

/// After so long without work no contestant has a thread left that it would
/// otherwise have to start.
pub const PAUSE: Duration = Duration::from_millis(20);

/// A section: its name, and what it does.
pub type Section = (&'static str, fn(&Server) -> Result<Report, Failure>);

/// All of them, in the order of the page.
pub const ALL: [Section; 13] = [
    ("hot", hot::run),
    ("apply", apply::run),
    ("threads", threads::run),
    ("first", first::run),
    ("refresh", refresh::run),
    ("cold", callers::run_cold),
    ("expiry", callers::run_expiry),
    ("stale", callers::run_stale),
    ("programs", programs::run),
    ("command", command::run),
    ("id-tokens", id_tokens::run),
    ("emulator", emulator::run),
    ("agent", agent::run),
];

/// A runtime as `#[tokio::main]` makes it, on two cores whatever the machine.
///
/// # Errors
/// If no thread can start.
pub fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    Ok(builder.worker_threads(2).enable_all().build()?)
}

/// Runs a future on this thread. Outside of tokio's own, as that would have a
/// task pause now and then to be fair to others, of whom there are none.
pub fn alone<F: Future>(future: F) -> F::Output {
    futures_executor::block_on(future)
}

/// A contestant that has a token of the server's in hand, and on this thread.
///
/// # Errors
/// If it has none, or another's.
pub fn ready<C: Contestant>(
    server: &Server,
    runtime: &tokio::runtime::Runtime,
) -> Result<C, Failure> {
    let contestant = runtime.block_on(C::new(server.address))?;
    for _ in 0..3 {
        runtime.block_on(contestant.with(check))??;
    }
    Ok(contestant)
}

/// Whether this is a token of the server's.
///
/// # Errors
/// If it is not.
pub fn check(value: &[u8]) -> Result<(), Failure> {
    let token = value.strip_prefix(b"Bearer ").unwrap_or(value);
    if !token.starts_with(b"ya29.c.") {
        return Err("this is no token of the server's".into());
    }
    Ok(())
}

/// Looks at a value, as far as the compiler knows.
pub fn look(value: &[u8]) {
    black_box(value);
}
