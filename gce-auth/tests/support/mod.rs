//! What the tests share: an emulator and credentials for it, waiting for a
//! condition, servers that are no metadata server, child processes.

#![allow(dead_code, reason = "each test file uses a part of it")]
#![allow(clippy::unwrap_used, reason = "a test says with it what it expects")]

pub(crate) mod gate;
pub(crate) mod process;
pub(crate) mod script;
pub(crate) mod stranger;

use std::time::Duration;

use gce_auth::{
    Credentials, CredentialsBuilder, MetadataClient, MetadataClientBuilder, RetryPolicy,
    time::{Clock, SystemClock},
};
use gce_auth_emulator::Emulator;

/// Where the default account's access token is.
pub(crate) const TOKEN: &str = "instance/service-accounts/default/token";
/// Where its ID tokens are.
pub(crate) const IDENTITY: &str = "instance/service-accounts/default/identity";
/// Where everything below it is listed.
pub(crate) const ACCOUNT: &str = "instance/service-accounts/default/";
/// The account of an emulator that was told nothing else.
pub(crate) const EMAIL: &str = "emulator@emulator-project.iam.gserviceaccount.com";

/// No test waits longer than this for anything.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn emulator() -> Emulator {
    Emulator::builder().start().unwrap()
}

pub(crate) fn client(emulator: &Emulator) -> MetadataClientBuilder {
    MetadataClient::builder().endpoint(emulator.addr().to_string())
}

/// A client that asks once and says how it went.
pub(crate) fn impatient(emulator: &Emulator) -> MetadataClient {
    let once = RetryPolicy::new().attempts(1);
    client(emulator).retry(once).build().unwrap()
}

pub(crate) fn builder(emulator: &Emulator) -> CredentialsBuilder {
    Credentials::builder().endpoint(emulator.addr().to_string())
}

pub(crate) fn credentials(emulator: &Emulator) -> Credentials {
    builder(emulator).build().unwrap()
}

/// The paths asked for so far, with their queries, below `/computeMetadata/v1/`.
pub(crate) fn asked(emulator: &Emulator) -> Vec<String> {
    let requests = emulator.requests();
    let short = requests.iter().map(|request| {
        let path = request.path.strip_prefix("/computeMetadata/v1/");
        let path = path.unwrap_or(&request.path);
        if request.query.is_empty() {
            path.to_owned()
        } else {
            format!("{path}?{}", request.query)
        }
    });
    short.collect()
}

/// This moment, on a clock that never jumps.
pub(crate) fn now() -> Duration {
    SystemClock::new().now().boot
}

/// What `work` came to, and how long it took.
pub(crate) fn timed<R>(work: impl FnOnce() -> R) -> (R, Duration) {
    let start = now();
    let result = work();
    (result, now().saturating_sub(start))
}

/// Returns once `condition` holds; fails where it never does.
pub(crate) fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let end = now() + PATIENCE;
    while !condition() {
        assert!(now() < end, "it never came about that {what}");
        std::thread::park_timeout(Duration::from_millis(1));
    }
}

/// A variable that a test is told something with.
#[expect(clippy::disallowed_methods, reason = "tests are told things with it")]
pub(crate) fn told(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
