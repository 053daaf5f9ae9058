//! `gce-auth completions`.

use clap::CommandFactory;
use clap_complete::Shell;

use crate::{config, exit::Failure, out::Out};

const EXAMPLES: &str = "\
Examples:
  source <(gce-auth completions bash)
  gce-auth completions zsh > ~/.zfunc/_gce-auth
  gce-auth completions fish > ~/.config/fish/completions/gce-auth.fish";

/// Prints what a shell needs to complete this command's arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

impl Args {
    pub(crate) fn run(&self, out: &Out) -> Result<(), Failure> {
        let mut script = Vec::new();
        let mut command = config::Args::command();
        clap_complete::generate(self.shell, &mut command, "gce-auth", &mut script);
        out.exact(&String::from_utf8_lossy(&script))
    }
}
