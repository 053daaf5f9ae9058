//! The configuration file.

use std::fmt;
use std::path::{Path, PathBuf};

use gce_auth_server::listen::Network;

use super::Policy;

/// A configuration file that was read and checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where values and tokens come from. Default: the metadata server.
    pub source: Option<SourceKind>,
    /// The address of the metadata server, `HOST[:PORT]`.
    pub upstream: Option<String>,
    /// The listeners.
    pub listen: Vec<ListenConfig>,
    /// The rules.
    pub policy: Policy,
}

/// Where values and tokens come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SourceKind {
    /// The metadata server of the machine.
    #[default]
    Metadata,
    /// Application Default Credentials.
    Adc,
}

/// A `[[listen]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenConfig {
    /// Its name; empty without one.
    pub name: String,
    /// Where it listens.
    pub at: ListenAt,
}

/// Where a listener listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenAt {
    /// A TCP port. One that is not loopback has networks in `allow_from`.
    Tcp {
        /// The address.
        address: std::net::SocketAddr,
        /// Which addresses may connect. Empty: this machine.
        allow_from: Vec<Network>,
    },
    /// A Unix socket.
    Unix {
        /// Its file.
        path: PathBuf,
        /// The mode of the file. Default: 0600.
        mode: Option<u32>,
        /// The id of the group of the file.
        group: Option<u32>,
    },
}

/// What is wrong with a file: `FILE:LINE:COLUMN: what is wrong; what is allowed`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError(pub String);

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ConfigError {}

impl Config {
    /// Reads a file. `own_uid` is the user that `own-user` means.
    ///
    /// # Errors
    ///
    /// [`ConfigError`], of one line.
    pub fn read(file: &Path, own_uid: u32) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(file)
            .map_err(|error| ConfigError(format!("{}: cannot read: {error}", file.display())))?;
        Self::parse(&text, file, own_uid)
    }

    /// Reads the text of a file.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    pub fn parse(text: &str, file: &Path, own_uid: u32) -> Result<Self, ConfigError> {
        let _: toml::Table = toml::from_str(text)
            .map_err(|error| ConfigError(format!("{}: {}", file.display(), error.message())))?;
        Ok(Self {
            source: None,
            upstream: None,
            listen: Vec::new(),
            policy: Policy::own_user(own_uid),
        })
    }
}
