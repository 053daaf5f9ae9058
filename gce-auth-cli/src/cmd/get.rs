//! `gce-auth get`.

use gce_auth::Error;

use crate::{
    exit::{Exit, Failure},
    options::{ClientArgs, OutputArgs, metadata_path},
    output::Output,
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
    /// The path below computeMetadata/v1/, like instance/zone; escapes like %2F are sent unchanged
    path: String,
    /// Print the directory and everything below it, as JSON
    #[arg(short, long)]
    recursive: bool,
    /// Do not add a newline to a value that ends without one
    #[arg(short = 'n', long)]
    exact: bool,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    client: ClientArgs,
}

impl Args {
    pub(crate) fn run(&self, out: &Output) -> Result<(), Failure> {
        let path = metadata_path(&self.path)?;
        let client = self.client.client(out)?;
        out.detail(format_args!("asking {} for {path}", client.endpoint()?));
        let text = if self.recursive {
            client.blocking_get_recursive(path)?
        } else if self.output.is_json() {
            let request = client.request(path).query("alt", "json");
            let answer = request.blocking_send();
            answer
                .map_err(|error| json_failure(error, path))?
                .into_text()
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

/// Explains a 400: a directory has no JSON value unless it is recursive.
fn json_failure(error: Error, path: &str) -> Failure {
    if error.status() != Some(400) {
        return error.into();
    }
    let why = format!(
        "{path} is a directory; add --recursive to print everything below it, or print its keys \
         without JSON"
    );
    Failure::new(Exit::of(&error), why)
}
