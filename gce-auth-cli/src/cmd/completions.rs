//! `gce-auth completions`.

use clap_complete::Shell;

use crate::{exit::Failure, output::Output};

const EXAMPLES: &str = "\
Examples:
  source <(gce-auth completions bash)
  gce-auth completions zsh > ~/.zfunc/_gce-auth
  gce-auth completions fish > ~/.config/fish/completions/gce-auth.fish";

/// Prints a script that completes the arguments of this command in a shell.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

impl Args {
    pub(crate) fn run(&self, out: &Output, mut whole: clap::Command) -> Result<(), Failure> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut whole, "gce-auth", &mut script);
        out.exact(&String::from_utf8_lossy(&script))
    }
}
