//! How much a command says on standard error.

use crate::output::Level;

/// How much a command says on standard error.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Verbosity {
    /// Print nothing on standard error, except for wrong arguments; the exit code tells
    #[arg(
        short,
        long,
        global = true,
        display_order = 900,
        conflicts_with = "verbose"
    )]
    quiet: bool,
    /// Print on standard error what is done; never a token
    #[arg(short, long, global = true, display_order = 900)]
    verbose: bool,
}

impl Verbosity {
    pub(crate) fn level(self) -> Level {
        match (self.quiet, self.verbose) {
            (true, _) => Level::Quiet,
            (false, true) => Level::Verbose,
            (false, false) => Level::Normal,
        }
    }
}
