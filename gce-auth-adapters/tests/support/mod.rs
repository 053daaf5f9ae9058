//! What the tests share: an emulator with credentials of it whose clock is turned by hand, and APIs
//! on loopback.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    reason = "each test uses a part, and says what it expects"
)]

pub mod api;
pub mod example;
pub mod postgres;
pub mod store;

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};

use gce_auth::{
    Credentials, CredentialsBuilder, MetadataClient,
    testing::HandClock,
    time::{Clock, SystemClock},
};
use gce_auth_emulator::{Emulator, Fault};

use self::api::{Api, Reply, Seen};

pub const DEFAULT_TOKEN: &str = "/computeMetadata/v1/instance/service-accounts/default/token";
const HOUR: Duration = Duration::from_secs(3600);

/// An emulator, and credentials of it.
pub struct Scene {
    pub emulator: Emulator,
    clock: Arc<HandClock>,
    pub client: MetadataClient,
    pub ours: Credentials,
}

impl Scene {
    /// A scene whose credentials keep a token of their own.
    pub fn new() -> Self {
        Self::with(|builder| builder.shared(false))
    }

    /// A scene whose credentials share their token with their copies, as a program's do.
    pub fn shared() -> Self {
        Self::with(|credentials| credentials)
    }

    fn with(change: impl FnOnce(CredentialsBuilder) -> CredentialsBuilder) -> Self {
        // reqwest has no cryptography of its own here; the second scene finds it installed.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let emulator = Emulator::builder().project_id("test-project");
        let emulator = emulator.start().unwrap();
        let now = SystemClock::new().now().system_time();
        let now = now.duration_since(UNIX_EPOCH).unwrap();
        let clock = Arc::new(HandClock::at(now.as_secs()));
        let client = MetadataClient::builder()
            .endpoint(emulator.addr().to_string())
            .clock(Arc::clone(&clock) as _)
            .build()
            .unwrap();
        let ours = change(Credentials::builder().client(client.clone()));
        let ours = ours.build().unwrap();
        Self {
            emulator,
            clock,
            client,
            ours,
        }
    }

    /// Lets the token expire, for its holder as for the APIs.
    pub fn expire(&self) {
        self.emulator.advance(2 * HOUR);
        self.clock.advance(2 * HOUR);
    }

    /// Makes every token invalid for the APIs; its holder does not notice.
    pub fn revoke(&self) {
        self.emulator.revoke_tokens();
        self.emulator.rotate_token();
    }

    /// The metadata server answers 503, until [`heal`](Self::heal).
    pub fn break_down(&self) {
        let fault = Fault::Status {
            code: 503,
            retry_after: None,
        };
        self.emulator
            .fail_for("/computeMetadata", 1000 * HOUR, fault);
    }

    pub fn heal(&self) {
        self.emulator.heal();
        // What failed a second ago is asked again.
        self.clock.advance(Duration::from_secs(60));
    }

    /// An API that answers 200 with this JSON if the token is valid, and 401 otherwise.
    pub fn api(&self, json: &'static str) -> Api {
        let emulator = self.emulator.addr();
        Api::start(move |seen, _| {
            match seen.token().is_some_and(|token| is_valid(emulator, token)) {
                true => Reply::json(200, json),
                false => Reply::json(401, UNAUTHENTICATED),
            }
        })
    }

    pub fn token_requests(&self) -> usize {
        self.emulator.request_count(DEFAULT_TOKEN)
    }
}

const UNAUTHENTICATED: &str =
    r#"{"error":{"code":401,"message":"invalid credentials","status":"UNAUTHENTICATED"}}"#;

/// Asks the emulator's `tokeninfo`.
pub fn is_valid(emulator: SocketAddr, token: &str) -> bool {
    let request = format!(
        "GET /tokeninfo?access_token={token} HTTP/1.1\r\nhost: oauth2.googleapis.com\r\nconnection: close\r\n\r\n"
    );
    let answer = exchange(emulator, request.as_bytes());
    answer.starts_with("HTTP/1.1 200")
}

/// Sends one request and reads the answer to its end.
pub fn exchange(address: SocketAddr, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(request).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// The tokens of these requests, without repetitions one after the other.
pub fn tokens(seen: &[Seen]) -> Vec<String> {
    let mut tokens: Vec<_> = seen
        .iter()
        .map(|seen| seen.token().unwrap_or_default().to_owned())
        .collect();
    tokens.dedup();
    tokens
}
