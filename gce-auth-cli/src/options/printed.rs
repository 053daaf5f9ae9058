//! The form of what a command found.

use clap::ValueEnum;

/// The form of what a command found.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct OutputArgs {
    /// The output format
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Print JSON, the same as --format json
    #[arg(long, conflicts_with = "format")]
    json: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Text for people
    #[default]
    Text,
    /// A JSON object
    Json,
}

impl OutputArgs {
    pub(crate) fn is_json(self) -> bool {
        self.json || self.format == Format::Json
    }
}
