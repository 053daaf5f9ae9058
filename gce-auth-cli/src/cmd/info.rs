//! `gce-auth info`.

use gce_auth::{Credentials, Error, ErrorKind, MetadataClient};
use serde_json::{Map, Value};

use crate::{
    clock,
    exit::Failure,
    options::{DEFAULT_ACCOUNT, OutputArgs, Source, SourceArgs},
    output::{Output, Style},
    text::rfc3339,
};

const EXAMPLES: &str = "\
Examples:
  gce-auth info
  gce-auth info --json | jq -r .project
  gce-auth info --source key.json

A value that does not exist is \"none\" in text and null in JSON.";

/// Prints the identity of this machine or of a credentials file: account, project, token lifetime.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    source: SourceArgs,
}

/// The name of the value that is in seconds.
const LIFETIME: &str = "token expires in";

/// Names and values in the order of the output.
type Facts = Vec<(&'static str, Option<Value>)>;

impl Args {
    pub(crate) fn run(&self, out: &Output) -> Result<(), Failure> {
        let facts = match self.source.choose()? {
            Source::Metadata(_) if self.source.target.is_none() => {
                let client = self.source.client.client(out)?;
                out.detail(format_args!("asking {}", client.endpoint()?));
                self.facts_of_machine(&client)?
            }
            source => self.facts_of_credentials(&source, out)?,
        };
        if self.output.is_json() {
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

    fn facts_of_credentials(&self, source: &Source, out: &Output) -> Result<Facts, Failure> {
        let credentials = self.source.credentials(&[], None, out)?;
        let ends = credentials.blocking_token()?.expires_at();
        let info = credentials.info();
        Ok(vec![
            ("source", Some(source.to_string().into())),
            ("kind", Some(info.credential_type.into())),
            (
                "account",
                Some(info.principal)
                    .filter(|name| !name.is_empty())
                    .map(Value::from),
            ),
            ("token expires at", ends.map(|at| rfc3339(at).into())),
            (LIFETIME, ends.map(|at| clock::left(at).as_secs().into())),
            (
                "project",
                credentials.blocking_project_id()?.map(Value::from),
            ),
            ("universe", text(credentials.blocking_universe_domain())?),
        ])
    }

    fn facts_of_machine(&self, client: &MetadataClient) -> Result<Facts, Failure> {
        let account = &self.source.account.account;
        let known = client.blocking_account_info(account);
        // A machine may have no default account, but an account that was named must exist.
        let known = if account == DEFAULT_ACCOUNT {
            if_any(known)?
        } else {
            Some(known?)
        };
        let (email, scopes) = known
            .map(|known| (known.email().to_owned(), known.scopes().to_vec()))
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
            (LIFETIME, ends.map(|at| clock::left(at).as_secs().into())),
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

/// Returns `None` if the server has no such value.
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
