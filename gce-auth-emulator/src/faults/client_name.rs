//! By what name a fault knows a client.

use gce_auth_server::protocol::Request;

/// What a client says of itself, in lower case; of long texts the beginning, as it is compared with
/// every rule.
pub(super) struct ClientName([String; 2]);

impl ClientName {
    const LONGEST: usize = 1024;

    pub(super) fn of(request: &Request) -> Self {
        Self(["user-agent", "x-goog-api-client"].map(|name| {
            let value = request.header(name).unwrap_or_default();
            let letters = value.chars().take(Self::LONGEST);
            letters.collect::<String>().to_lowercase()
        }))
    }

    /// Returns whether this text, in lower case, is in one of the names.
    pub(super) fn contains(&self, part: &str) -> bool {
        self.0.iter().any(|name| name.contains(part))
    }
}
