//! `gce-auth id-token`.

use clap::ValueEnum;
use gce_auth::{IdTokenCredentials, IdTokenCredentialsBuilder, IdTokenFormat, MetadataClient};

use crate::{
    clock,
    exit::{Exit, Failure},
    options::{Printable, Source, SourceArgs, TokenFormat},
    output::Output,
};

const EXAMPLES: &str = "\
Examples:
  gce-auth id-token --audience https://service-abc.a.run.app
  gce-auth id-token --audience https://x.app --format curl | curl -K - https://x.app/
  gce-auth id-token --audience https://x.app --via iam

With --via iam, the account needs roles/iam.serviceAccountTokenCreator on itself.";

/// Prints an ID token, which proves to a service who calls it.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The audience of the token, usually the URL of the service that receives it
    #[arg(long, value_name = "URL", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    audience: String,
    /// The server that issues the token
    #[arg(long, value_enum, default_value_t)]
    via: Via,
    /// Include the email address and, on Compute Engine, claims about the machine (the default)
    #[arg(long, conflicts_with = "standard")]
    format_full: bool,
    /// Include the standard claims only
    #[arg(long, conflicts_with = "licenses")]
    standard: bool,
    /// Include the licence codes of the machine's images
    #[arg(long)]
    licenses: bool,
    /// With --via iam, the token endpoint that exchanges the assertion, instead of Google's
    #[arg(long, value_name = "URL")]
    token_uri: Option<String>,
    /// The output format
    #[arg(long, value_enum, default_value_t)]
    format: TokenFormat,
    #[command(flatten)]
    source: SourceArgs,
}

/// The server that issues an ID token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Via {
    /// The metadata server
    #[default]
    Metadata,
    /// Google's token endpoint, for an assertion that IAM signs for the account, as Python's
    /// google-auth does by default
    Iam,
}

impl Args {
    pub(crate) fn run(&self, out: &Output) -> Result<(), Failure> {
        let token = self.credentials(out)?.blocking_token()?;
        out.detail(format_args!(
            "an ID token of {} characters, {}",
            token.secret().len(),
            clock::validity(token.expires_at())
        ));
        let token = Printable {
            variables: &["GOOGLE_ID_TOKEN"],
            secret: token.secret(),
            expires_at: token.expires_at(),
        };
        self.format.print(&token, out)
    }

    fn credentials(&self, out: &Output) -> Result<IdTokenCredentials, Failure> {
        if self.source.target.is_none()
            && let source @ Source::Metadata(_) = self.source.choose()?
        {
            let client = self.source.client.client(out)?;
            let (endpoint, account) = (client.endpoint()?, &self.source.account.account);
            out.detail(format_args!("credentials from {source}"));
            out.detail(format_args!(
                "asking {endpoint} for an ID token of {account}"
            ));
            return Ok(self.builder(client)?.build()?);
        }
        let for_metadata = self.format_full || self.standard || self.licenses;
        if self.via == Via::Iam || for_metadata || self.token_uri.is_some() {
            return Err(Failure::new(
                Exit::Usage,
                "--via iam, --token-uri, --format-full, --standard and --licenses are for the \
                 account of the metadata server; leave them out, or say --source metadata without \
                 --as",
            ));
        }
        self.source.id_token_credentials(&self.audience, out)
    }

    fn builder(&self, client: MetadataClient) -> Result<IdTokenCredentialsBuilder, Failure> {
        let for_metadata = self.format_full || self.standard || self.licenses;
        let for_iam = self.source.iam_endpoint.is_some() || self.token_uri.is_some();
        let builder = IdTokenCredentials::builder(&self.audience)
            .client(client)
            .service_account(&self.source.account.account);
        match self.via {
            Via::Metadata if for_iam => Err(Failure::new(
                Exit::Usage,
                "--iam-endpoint and --token-uri need --via iam; add it, or leave them out",
            )),
            Via::Iam if for_metadata => Err(Failure::new(
                Exit::Usage,
                "--format-full, --standard and --licenses need --via metadata; leave them out, or \
                 leave out --via iam",
            )),
            Via::Metadata => {
                let format = if self.standard {
                    IdTokenFormat::Standard
                } else {
                    IdTokenFormat::Full
                };
                Ok(builder.format(format).licenses(self.licenses))
            }
            Via::Iam => {
                let mut builder = builder.iam_flow(true);
                if let Some(url) = &self.source.iam_endpoint {
                    builder = builder.iam_endpoint(url);
                }
                if let Some(url) = &self.token_uri {
                    builder = builder.token_uri(url);
                }
                Ok(builder)
            }
        }
    }
}
