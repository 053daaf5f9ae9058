//! `gce-auth headers`.

use clap::ValueEnum;
use gce_auth::{Credentials, Headers, IdTokenCredentials, MetadataClient};
use serde_json::{Map, Value};

use crate::{
    exit::Failure,
    options::{AccountArgs, ClientArgs, Scopes},
    output::Output,
};

const EXAMPLES: &str = "\
Examples:
  gce-auth headers | curl -H @- https://storage.googleapis.com/storage/v1/b/BUCKET
  gce-auth headers --quota-project my-project --format json
  gce-auth headers --audience https://service-abc.a.run.app";

/// Prints the headers that a request to a Google API needs.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Use an ID token for this audience instead of an access token
    #[arg(long, value_name = "URL", conflicts_with = "scopes")]
    audience: Option<String>,
    /// The scopes to request, separated by commas
    #[arg(long, value_name = "SCOPES", value_parser = Scopes::parse)]
    scopes: Vec<Scopes>,
    /// The quota project, which is billed for the request (x-goog-user-project)
    #[arg(long, value_name = "PROJECT")]
    quota_project: Option<String>,
    /// The output format
    #[arg(long, value_enum, default_value_t)]
    format: HeaderFormat,
    #[command(flatten)]
    account: AccountArgs,
    #[command(flatten)]
    client: ClientArgs,
}

/// The output format of headers.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum HeaderFormat {
    /// One header a line, for `curl -H @-`
    #[default]
    Text,
    /// A JSON object
    Json,
    /// A configuration, for `curl -K -`
    Curl,
}

impl Args {
    pub(crate) fn run(&self, out: &Output) -> Result<(), Failure> {
        let client = self.client.client(out)?;
        out.detail(format_args!("asking {}", client.endpoint()?));
        let headers = match &self.audience {
            Some(audience) => self.with_id_token(client, audience),
            None => self.with_access_token(client),
        }?;
        let mut pairs = headers
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_str().unwrap_or_default()));
        match self.format {
            HeaderFormat::Text => {
                pairs.try_for_each(|(name, value)| out.pieces(&[&name, ": ", value, "\n"]))
            }
            HeaderFormat::Curl => pairs.try_for_each(|(name, value)| {
                out.pieces(&["header = \"", &name, ": ", value, "\"\n"])
            }),
            HeaderFormat::Json => {
                let all: Map<_, _> = pairs.map(|(name, value)| (name, value.into())).collect();
                out.json(&Value::Object(all))
            }
        }
    }

    fn with_access_token(&self, client: MetadataClient) -> Result<Headers, Failure> {
        let mut builder = Credentials::builder()
            .client(client)
            .service_account(&self.account.account)
            .scopes(Scopes::all(&self.scopes));
        if let Some(project) = &self.quota_project {
            builder = builder.quota_project_id(project);
        }
        Ok(builder.build()?.blocking_headers()?)
    }

    fn with_id_token(&self, client: MetadataClient, audience: &str) -> Result<Headers, Failure> {
        let mut builder = IdTokenCredentials::builder(audience)
            .client(client)
            .service_account(&self.account.account);
        if let Some(project) = &self.quota_project {
            builder = builder.quota_project_id(project);
        }
        Ok(builder.build()?.blocking_headers()?)
    }
}
