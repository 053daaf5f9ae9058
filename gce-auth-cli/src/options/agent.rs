//! Options of commands that start an agent.

use std::time::Duration;

use gce_auth_agent::policy::{SourceKind, parse_lifetime};

pub(crate) fn agent_source(text: &str) -> Result<SourceKind, String> {
    text.parse()
}

pub(crate) fn token_lifetime(text: &str) -> Result<Duration, String> {
    parse_lifetime(text).map_err(str::to_owned)
}
