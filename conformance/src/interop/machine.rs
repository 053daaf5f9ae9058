//! The machine that all clients are shown: what the emulator is told, and what they have to find.

/// The project's name.
pub const PROJECT: &str = "interop-project";
/// The project's number.
pub const NUMBER: u64 = 731_946_205_118;
/// The instance's number, beyond what a double can hold.
pub const INSTANCE: u64 = 9_007_199_254_740_993;
/// The instance's name.
pub const NAME: &str = "orders-7";
/// The instance's name in the network.
pub const HOSTNAME: &str = "emulator.us-central1-a.c.interop-project.internal";
/// The instance's addresses, inside and outside.
pub const ADDRESSES: [&str; 2] = ["10.128.0.7", "203.0.113.82"];
/// The instance's tags.
pub const TAGS: [&str; 2] = ["http-server", "https-server"];
/// The zone, without the project.
pub const ZONE: &str = "europe-west4-b";
/// The account.
pub const EMAIL: &str = "worker@interop-project.iam.gserviceaccount.com";
/// What the account's tokens may do.
pub const SCOPES: [&str; 2] = [
    "https://www.googleapis.com/auth/devstorage.read_only",
    "https://www.googleapis.com/auth/pubsub",
];
/// The value of the attribute `color`.
pub const COLOR: &str = "blue, and a second\nline";
/// The value of the project's attribute `team`.
pub const TEAM: &str = "orders";
/// Not Google's own, so that the libraries' default can't be taken for an answer, and so that none
/// of them looks for services beside the metadata server in the outside world.
pub const UNIVERSE: &str = "interop.example.com";
/// Whom ID tokens are for.
pub const AUDIENCE: &str = "https://orders.example.com";
/// How long access tokens are good for, in seconds.
pub const TOKEN_LIFETIME: u64 = 1800;

/// The zone as the server says it.
#[must_use]
pub fn zone_path() -> String {
    format!("projects/{NUMBER}/zones/{ZONE}")
}
