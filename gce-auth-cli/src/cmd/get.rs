//! `gce-auth get`.

use gce_auth::Error;

use crate::{
    cmd::path,
    config::{Reach, Shape},
    exit::{Exit, Failure},
    out::Out,
};

const EXAMPLES: &str = "\
Examples:
  gce-auth get instance/zone
  gce-auth get project/attributes/                   the keys, one per line
  gce-auth get instance/attributes/startup-script --exact > script.sh
  gce-auth get instance/tags --json                  a list, as JSON
  gce-auth get --recursive instance/ | jq .tags";

/// Prints a metadata value, or lists a directory.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The path below computeMetadata/v1/, like instance/zone; escapes like %2F stay as they are
    path: String,
    /// The directory and all below it, as JSON
    #[arg(short, long)]
    recursive: bool,
    /// Add no newline to a value that ends without one
    #[arg(short = 'n', long)]
    exact: bool,
    #[command(flatten)]
    shape: Shape,
    #[command(flatten)]
    reach: Reach,
}

impl Args {
    pub(crate) fn run(&self, out: &Out) -> Result<(), Failure> {
        let path = path::below(&self.path)?;
        let client = self.reach.client(out)?;
        out.detail(format_args!("asking {} for {path}", client.endpoint()?));
        let text = if self.recursive {
            client.blocking_get_recursive(path)?
        } else if self.shape.is_json() {
            let request = client.request(path).parameter("alt", "json");
            let answer = request.blocking_send();
            answer.map_err(|error| of_json(error, path))?.into_text()
        } else {
            client.blocking_get(path)?
        };
        if self.exact || text.is_empty() {
            out.exact(&text)
        } else {
            out.value(&text)
        }
    }
}

/// A directory has no value to print as JSON, which a server says in words of its own.
fn of_json(error: Error, path: &str) -> Failure {
    if error.status() != Some(400) {
        return error.into();
    }
    let why = format!(
        "{path} is a directory; add --recursive for it and all below it, or leave out JSON for the keys"
    );
    Failure::new(Exit::of(&error), why)
}
