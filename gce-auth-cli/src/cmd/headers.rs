//! `gce-auth headers`.

use clap::ValueEnum;
use gce_auth::Headers;
use serde_json::{Map, Value};

use crate::{
    exit::Failure,
    options::{AccessArgs, Scopes, SourceArgs},
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
    #[arg(long, value_name = "URL", conflicts_with_all = ["scopes", "AccessArgs"])]
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
    access: AccessArgs,
    #[command(flatten)]
    source: SourceArgs,
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
        let headers = match &self.audience {
            Some(audience) => self.with_id_token(audience, out),
            None => self.with_access_token(out),
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

    fn with_access_token(&self, out: &Output) -> Result<Headers, Failure> {
        let credentials = self
            .source
            .credentials(&self.scopes, Some(&self.access), out)?;
        let mut credentials = self.access.limit(credentials)?;
        if let Some(project) = self.quota_project.as_deref() {
            credentials = credentials.with_quota_project(project)?;
        }
        Ok(credentials.blocking_headers()?)
    }

    fn with_id_token(&self, audience: &str, out: &Output) -> Result<Headers, Failure> {
        let mut credentials = self.source.id_token_credentials(audience, out)?;
        if let Some(project) = self.quota_project.as_deref() {
            credentials = credentials.with_quota_project(project)?;
        }
        Ok(credentials.blocking_headers()?)
    }
}
