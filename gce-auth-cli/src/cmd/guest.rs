//! `gce-auth guest`: guest attributes.

use clap::Subcommand;
use serde_json::json;

use crate::{
    config::{Reach, Shape},
    exit::{Exit, Failure},
    input,
    out::Out,
};

const EXAMPLES: &str = "\
Examples:
  gce-auth guest set my-service/state ready
  ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub | gce-auth guest set host/fingerprint
  gce-auth guest get my-service/state
  gce-auth guest get my-service                the keys, one per line
  gce-auth guest delete my-service/state

`gcloud compute instances get-guest-attributes` reads them from outside. The metadata of the
instance, or of the project, must have enable-guest-attributes as TRUE. The server takes ten
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
  gce-auth guest delete my-service             all of them";

/// Sets, gets and deletes guest attributes: what this machine tells those outside.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(subcommand)]
    deed: Deed,
}

/// What is done with a guest attribute.
#[derive(Debug, Subcommand)]
enum Deed {
    /// Sets an attribute, in place of what was there
    #[command(after_help = SET)]
    Set {
        /// A namespace and a key
        #[arg(value_name = "NAMESPACE/KEY")]
        name: String,
        /// The value; standard input if there is none, or -
        #[arg(allow_hyphen_values = true)]
        value: Option<String>,
        #[command(flatten)]
        reach: Reach,
    },
    /// Prints an attribute, or the keys of a namespace
    #[command(after_help = GET)]
    Get {
        /// A namespace and a key, or a namespace
        #[arg(value_name = "NAMESPACE[/KEY]")]
        name: String,
        #[command(flatten)]
        shape: Shape,
        #[command(flatten)]
        reach: Reach,
    },
    /// Deletes an attribute, or all of a namespace; code 6 if there was none
    #[command(after_help = DELETE)]
    Delete {
        /// A namespace and a key, or a namespace
        #[arg(value_name = "NAMESPACE[/KEY]")]
        name: String,
        #[command(flatten)]
        reach: Reach,
    },
}

impl Args {
    pub(crate) fn run(&self, out: &Out) -> Result<(), Failure> {
        match &self.deed {
            Deed::Set { name, value, reach } => {
                let (namespace, Some(key)) = parts(name) else {
                    let why = format!("{name:?} names no key; write NAMESPACE/KEY");
                    return Err(Failure::new(Exit::Usage, why));
                };
                // First, as it sets the limit for what is read, too.
                let client = reach.client(out)?;
                let value = match value.as_deref() {
                    None | Some("-") => input::text(None)?,
                    Some(value) => value.to_owned(),
                };
                Ok(client.blocking_put_guest_attribute(namespace, key, &value)?)
            }
            Deed::Get { name, shape, reach } => {
                let client = reach.client(out)?;
                let (namespace, Some(key)) = parts(name) else {
                    let keys = client.blocking_guest_attributes(parts(name).0)?;
                    if shape.is_json() {
                        return out.json(&json!(keys));
                    }
                    return keys.iter().try_for_each(|key| out.value(key));
                };
                let value = client.blocking_guest_attribute(namespace, key)?;
                let value = value.ok_or_else(|| none(name))?;
                if shape.is_json() {
                    return out.json(&json!(value));
                }
                out.value(&value)
            }
            Deed::Delete { name, reach } => {
                let client = reach.client(out)?;
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

/// Namespace and key.
fn parts(name: &str) -> (&str, Option<&str>) {
    match name.split_once('/') {
        Some((namespace, key)) => (namespace, Some(key).filter(|key| !key.is_empty())),
        None => (name, None),
    }
}

fn none(name: &str) -> Failure {
    Failure::new(
        Exit::NotFound,
        format!("there is no guest attribute {name}; `gce-auth guest set` makes one"),
    )
}
