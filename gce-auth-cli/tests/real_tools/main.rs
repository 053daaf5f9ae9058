//! The real tools, unchanged, with their helper: servers on loopback check the credential.
//!
//! A tool that is not installed is skipped, unless `GCE_AUTH_INTEROP` is `required`.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test says with it what it expects")]

mod cloud;
mod languages;
mod machine;
#[path = "../support/mod.rs"]
mod support;
mod tools;

use base64::{Engine, prelude::BASE64_STANDARD};

use crate::cloud::{Answer, Request};

/// Returns the header of a user with the token as password.
fn basic(user: &str, token: &str) -> String {
    format!(
        "Basic {}",
        BASE64_STANDARD.encode(format!("{user}:{token}"))
    )
}

/// Answers 401 to a request without this header.
fn guarded(request: &Request, header: &str, answer: impl FnOnce() -> Answer) -> Answer {
    if request.authorization() == Some(header) {
        return answer();
    }
    (401, "text/plain", b"who are you?".to_vec())
}

/// Answers that there is nothing.
fn not_found() -> Answer {
    (404, "text/plain", b"nothing here".to_vec())
}
