//! When to send a request again, and when to give up. Pure: no clock, no sleep.

pub(crate) mod after;
pub(crate) mod attempts;
mod policy;
pub(crate) mod server;

pub use self::policy::RetryPolicy;

#[cfg(test)]
mod tests;
