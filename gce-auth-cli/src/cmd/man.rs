//! `gce-auth man`.

use clap_mangen::Man;

use crate::{
    exit::{Exit, Failure},
    output::Output,
};

const EXAMPLES: &str = "\
Examples:
  gce-auth man > /usr/local/share/man/man1/gce-auth.1
  gce-auth man token | man -l -
  gce-auth man guest set | man -l -";

/// Prints the manual page of gce-auth, or of one of its commands, in roff.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The command, like token or guest set
    #[arg(value_name = "COMMAND")]
    command: Vec<String>,
}

impl Args {
    pub(crate) fn run(&self, out: &Output, mut whole: clap::Command) -> Result<(), Failure> {
        whole.build();
        let mut page = &whole;
        for name in &self.command {
            page = page.find_subcommand(name).ok_or_else(|| {
                let name = self.command.join(" ");
                Failure::new(Exit::Usage, format!("there is no command {name:?}"))
            })?;
        }
        let mut roff = Vec::new();
        Man::new(page.clone())
            .source(concat!("gce-auth ", env!("CARGO_PKG_VERSION")))
            .render(&mut roff)
            .map_err(Failure::Output)?;
        out.exact(&String::from_utf8_lossy(&roff))
    }
}
