//! `gce-auth info`.

use gce_auth::{Credentials, Error, ErrorKind, MetadataClient};
use serde_json::{Map, Value};

use crate::{
    cmd::format,
    config::{DEFAULT_ACCOUNT, Reach, Shape, WhichAccount},
    exit::Failure,
    out::{Out, Style},
    text::rfc3339,
};

const EXAMPLES: &str = "\
Examples:
  gce-auth info
  gce-auth info --json | jq -r .project

What there is none of is \"none\", and null in JSON.";

/// Prints who and where this machine is: account, scopes, project, zone, token lifetime.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    shape: Shape,
    #[command(flatten)]
    account: WhichAccount,
    #[command(flatten)]
    reach: Reach,
}

/// The name of what is in seconds.
const LIFETIME: &str = "token expires in";

/// What is shown, in its order: a name, and a value if there is one.
type Facts = Vec<(&'static str, Option<Value>)>;

impl Args {
    pub(crate) fn run(&self, out: &Out) -> Result<(), Failure> {
        let client = self.reach.client(out)?;
        out.detail(format_args!("asking {}", client.endpoint()?));
        let facts = self.facts(&client)?;
        if self.shape.is_json() {
            let all: Map<_, _> = facts
                .into_iter()
                .map(|(name, value)| (name.replace(' ', "_"), value.unwrap_or_default()))
                .collect();
            return out.json(&Value::Object(all));
        }
        for (name, value) in &facts {
            let unit = if *name == LIFETIME { " s" } else { "" };
            let name = out.paint(Style::Strong, format!("{name:17}"));
            match value {
                None => out.value(&format!("{name}none")),
                Some(value) => out.value(&format!("{name}{}{unit}", shown(value))),
            }?;
        }
        Ok(())
    }

    fn facts(&self, client: &MetadataClient) -> Result<Facts, Failure> {
        let account = &self.account.account;
        let known = client.blocking_account_info(account);
        // A machine without an account has none by default; one that was named has to be there.
        let known = if account == DEFAULT_ACCOUNT {
            if_any(known)?
        } else {
            Some(known?)
        };
        let (email, scopes) = known
            .map(|known| (known.email, known.scopes))
            .map_or((None, None), |(email, scopes)| {
                (Some(email.into()), Some(scopes.into()))
            });
        let credentials = Credentials::builder()
            .client(client.clone())
            .service_account(account)
            .build()?;
        let token = match &email {
            Some(_) => if_any(credentials.blocking_token())?,
            None => None,
        };
        let ends = token.and_then(|token| token.expires_at());
        let number = if_any(client.blocking_numeric_project_id())?;
        Ok(vec![
            ("server", Some(client.endpoint()?.into())),
            ("account", email),
            ("scopes", scopes),
            ("token expires at", ends.map(|at| rfc3339(at).into())),
            (LIFETIME, ends.map(|at| format::left(at).as_secs().into())),
            ("project", text(client.blocking_project_id())?),
            ("project number", number.map(Value::from)),
            ("zone", text(client.blocking_zone())?),
            ("region", text(client.blocking_region())?),
            ("instance", text(client.blocking_instance_name())?),
            ("instance id", text(client.blocking_instance_id())?),
            ("universe", text(client.blocking_universe_domain())?),
        ])
    }
}

fn text(value: Result<String, Error>) -> Result<Option<Value>, Failure> {
    Ok(if_any(value)?.map(Value::from))
}

/// What the server knows; it need not know everything.
fn if_any<T>(value: Result<T, Error>) -> Result<Option<T>, Failure> {
    match value {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(shown).collect();
            items.join(" ")
        }
        other => other.to_string(),
    }
}
