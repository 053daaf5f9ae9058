//! A file for each command: its arguments, one call, its output. `cli.rs` lists them.

#[cfg(unix)]
pub(crate) mod agent;
pub(crate) mod completions;
pub(crate) mod demo;
pub(crate) mod detect;
pub(crate) mod doctor;
pub(crate) mod emulate;
pub(crate) mod exec;
pub(crate) mod get;
pub(crate) mod guest;
pub(crate) mod headers;
pub(crate) mod helper;
pub(crate) mod id_token;
pub(crate) mod info;
pub(crate) mod man;
pub(crate) mod sign;
pub(crate) mod sign_url;
pub(crate) mod token;
pub(crate) mod verify;
pub(crate) mod wait;
pub(crate) mod watch;
