//! The edges of the world. Sockets, clocks, threads, environment.

pub(crate) mod clock;
#[cfg(feature = "tls")]
pub(crate) mod crypto;
pub(crate) mod env;
pub(crate) mod events;
#[cfg(any(test, feature = "test-util"))]
pub(crate) mod fake;

#[cfg(feature = "adc")]
pub(crate) mod files;
pub(crate) mod firmware;
pub(crate) mod http;
#[cfg(feature = "tls")]
pub(crate) mod identity;
pub(crate) mod interrupt;
pub(crate) mod lookup;
#[cfg(feature = "adc")]
pub(crate) mod process;
pub(crate) mod random;
mod spawn;
pub(crate) mod threads;
#[cfg(feature = "tls")]
mod tls;
pub(crate) mod transport;
#[cfg(feature = "tls")]
pub(crate) mod workload;
