//! Options of commands that start an agent.

use std::time::Duration;

use gce_auth_agent::policy::{SourceKind, parse_lifetime};

pub(crate) fn agent_source(text: &str) -> Result<SourceKind, String> {
    match text {
        "metadata" => Ok(SourceKind::Metadata),
        "adc" => Ok(SourceKind::Adc),
        _ => Err("use metadata or adc".to_owned()),
    }
}

pub(crate) fn token_lifetime(text: &str) -> Result<Duration, String> {
    parse_lifetime(text).map_err(str::to_owned)
}
