//! `gce-auth guest`: guest attributes.

use clap::Subcommand;
use serde_json::json;

use crate::{
    exit::{Exit, Failure},
    input,
    options::{ClientArgs, OutputArgs},
    output::Output,
};

const EXAMPLES: &str = "\
Examples:
  gce-auth guest set my-service/state ready
  ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub | gce-auth guest set host/fingerprint
  gce-auth guest get my-service/state
  gce-auth guest get my-service                the keys, one per line
  gce-auth guest delete my-service/state

`gcloud compute instances get-guest-attributes` reads them from outside the machine. The metadata
of the instance or the project must set enable-guest-attributes to TRUE. The server accepts ten
requests a minute.";

const SET: &str = "\
Examples:
  gce-auth guest set my-service/state ready
  date | gce-auth guest set my-service/started";

const GET: &str = "\
Examples:
  gce-auth guest get my-service/state
  gce-auth guest get my-service                the keys, one per line";

const DELETE: &str = "\
Examples:
  gce-auth guest delete my-service/state
  gce-auth guest delete my-service             the whole namespace";

/// Sets, prints and deletes guest attributes, which are read from outside this machine.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

/// What to do with a guest attribute.
#[derive(Debug, Subcommand)]
enum Action {
    /// Sets an attribute, replacing its value
    #[command(after_help = SET)]
    Set {
        /// A namespace and a key
        #[arg(value_name = "NAMESPACE/KEY")]
        name: String,
        /// The value. Default: standard input, also for -
        #[arg(allow_hyphen_values = true)]
        value: Option<String>,
        #[command(flatten)]
        client: ClientArgs,
    },
    /// Prints an attribute, or the keys of a namespace
    #[command(after_help = GET)]
    Get {
        /// A namespace and a key, or a namespace
        #[arg(value_name = "NAMESPACE[/KEY]")]
        name: String,
        #[command(flatten)]
        output: OutputArgs,
        #[command(flatten)]
        client: ClientArgs,
    },
    /// Deletes an attribute, or a namespace; fails with code 6 if there is none
    #[command(after_help = DELETE)]
    Delete {
        /// A namespace and a key, or a namespace
        #[arg(value_name = "NAMESPACE[/KEY]")]
        name: String,
        #[command(flatten)]
        client: ClientArgs,
    },
}

impl Args {
    pub(crate) fn run(&self, out: &Output) -> Result<(), Failure> {
        match &self.action {
            Action::Set {
                name,
                value,
                client,
            } => {
                let (namespace, Some(key)) = parts(name) else {
                    let why = format!("{name:?} names no key; write NAMESPACE/KEY");
                    return Err(Failure::new(Exit::Usage, why));
                };
                // Sets the deadline, so it comes before the value is read.
                let client = client.client(out)?;
                let value = match value.as_deref() {
                    None | Some("-") => input::text(None)?,
                    Some(value) => value.to_owned(),
                };
                Ok(client.blocking_put_guest_attribute(namespace, key, &value)?)
            }
            Action::Get {
                name,
                output,
                client,
            } => {
                let client = client.client(out)?;
                let (namespace, Some(key)) = parts(name) else {
                    let keys = client.blocking_guest_attributes(parts(name).0)?;
                    if output.is_json() {
                        return out.json(&json!(keys));
                    }
                    return keys.iter().try_for_each(|key| out.value(key));
                };
                let value = client.blocking_guest_attribute(namespace, key)?;
                let value = value.ok_or_else(|| none(name))?;
                if output.is_json() {
                    return out.json(&json!(value));
                }
                out.value(&value)
            }
            Action::Delete { name, client } => {
                let client = client.client(out)?;
                let there = match parts(name) {
                    (namespace, Some(key)) => {
                        client.blocking_delete_guest_attribute(namespace, key)
                    }
                    (namespace, None) => client.blocking_delete_guest_attributes(namespace),
                }?;
                there.then_some(()).ok_or_else(|| none(name))
            }
        }
    }
}

/// Splits a name into namespace and key.
fn parts(name: &str) -> (&str, Option<&str>) {
    match name.split_once('/') {
        Some((namespace, key)) => (namespace, Some(key).filter(|key| !key.is_empty())),
        None => (name, None),
    }
}

fn none(name: &str) -> Failure {
    Failure::new(
        Exit::NotFound,
        format!("there is no guest attribute {name}; set it with `gce-auth guest set`"),
    )
}
