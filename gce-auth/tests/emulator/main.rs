//! The main job, end to end: the library against the emulator over real sockets.

#![allow(clippy::unwrap_used, reason = "a test says with it what it expects")]

mod accounts;
mod id_tokens;
mod renewal;
#[path = "../support/mod.rs"]
mod support;
mod tokens;
mod values;

use std::time::SystemTime;

use gce_auth::time::{Clock, SystemClock};
use gce_auth_emulator::{Account, Emulator, Fault};

const READ_ONLY: &str = "https://www.googleapis.com/auth/devstorage.read_only";
const PLATFORM: &str = "https://www.googleapis.com/auth/cloud-platform";

fn refused(code: u16) -> Fault {
    Fault::Status {
        code,
        retry_after: None,
    }
}

fn wall() -> SystemTime {
    SystemClock::new().now().system_time()
}

fn accounts(emails: &[&str]) -> Emulator {
    let mut builder = Emulator::builder();
    for email in emails {
        builder = builder.account(Account::new(*email));
    }
    builder.start().unwrap()
}
