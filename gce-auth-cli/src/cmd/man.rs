//! `gce-auth man`.

use clap::CommandFactory;
use clap_mangen::Man;

use crate::{
    config,
    exit::{Exit, Failure},
    out::Out,
};

const EXAMPLES: &str = "\
Examples:
  gce-auth man > /usr/local/share/man/man1/gce-auth.1
  gce-auth man token | man -l -";

/// Prints the manual page of this command, or of one of its commands, in roff.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The command, like token
    command: Option<String>,
}

impl Args {
    pub(crate) fn run(&self, out: &Out) -> Result<(), Failure> {
        let mut whole = config::Args::command();
        whole.build();
        let page = match &self.command {
            None => whole,
            Some(name) => whole.find_subcommand(name).cloned().ok_or_else(|| {
                Failure::new(Exit::Usage, format!("there is no command {name:?}"))
            })?,
        };
        let mut roff = Vec::new();
        Man::new(page)
            .source(concat!("gce-auth ", env!("CARGO_PKG_VERSION")))
            .render(&mut roff)
            .map_err(Failure::Output)?;
        out.exact(&String::from_utf8_lossy(&roff))
    }
}
