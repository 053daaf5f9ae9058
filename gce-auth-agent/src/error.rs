//! Why an agent does not start.

use std::fmt;

/// Why an agent does not start, in one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StartError {
    /// A setting, in an argument, a file or the environment, makes no sense.
    Setting(String),
    /// The system refuses something, such as an address that is in use.
    System(String),
}

impl StartError {
    pub(crate) fn setting(why: impl fmt::Display) -> Self {
        Self::Setting(why.to_string())
    }

    pub(crate) fn system(why: impl fmt::Display) -> Self {
        Self::System(why.to_string())
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Setting(why) | Self::System(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for StartError {}
