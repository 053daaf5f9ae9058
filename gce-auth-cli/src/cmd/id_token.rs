//! `gce-auth id-token`.

use clap::ValueEnum;
use gce_auth::{IdTokenCredentials, IdTokenCredentialsBuilder, IdTokenFormat, MetadataClient};

use crate::{
    cmd::format::{self, Format, Printable},
    config::{Reach, WhichAccount},
    exit::{Exit, Failure},
    out::Out,
};

const EXAMPLES: &str = "\
Examples:
  gce-auth id-token --audience https://service-abc.a.run.app
  gce-auth id-token --audience https://x.app --format curl | curl -K - https://x.app/
  gce-auth id-token --audience https://x.app --via iam

With --via iam the account needs roles/iam.serviceAccountTokenCreator on itself.";

/// Prints an ID token: proof to a service of who is calling.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Whom the token is for, usually the URL of the service that receives it
    #[arg(long, value_name = "URL", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    audience: String,
    /// Who makes the token
    #[arg(long, value_enum, default_value_t)]
    via: Via,
    /// With email and, on Compute Engine, facts about the machine (the default)
    #[arg(long, conflicts_with = "standard")]
    format_full: bool,
    /// With the standard claims alone
    #[arg(long, conflicts_with = "licenses")]
    standard: bool,
    /// With the licences of the machine's images
    #[arg(long)]
    licenses: bool,
    /// Where the IAM Credentials API is, with --via iam, for emulators and private endpoints
    #[arg(long, value_name = "URL")]
    iam_endpoint: Option<String>,
    /// Where the assertion is exchanged, with --via iam, instead of Google's token endpoint
    #[arg(long, value_name = "URL")]
    token_uri: Option<String>,
    /// How the token is printed
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    #[command(flatten)]
    account: WhichAccount,
    #[command(flatten)]
    reach: Reach,
}

/// The ways to an ID token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Via {
    /// The metadata server
    #[default]
    Metadata,
    /// Google's token endpoint, for an assertion that IAM signs for the account, as Python's google-auth does by default
    Iam,
}

impl Args {
    pub(crate) fn run(&self, out: &Out) -> Result<(), Failure> {
        let client = self.reach.client(out)?;
        out.detail(format_args!(
            "asking {} for an ID token of {}",
            client.endpoint()?,
            self.account.account
        ));
        let token = self.way(client)?.build()?.blocking_token()?;
        out.detail(format_args!(
            "an ID token of {} characters, {}",
            token.secret().len(),
            format::validity(token.expires_at())
        ));
        let token = Printable {
            variables: &["GOOGLE_ID_TOKEN"],
            secret: token.secret(),
            expires_at: token.expires_at(),
        };
        self.format.print(&token, out)
    }

    fn way(&self, client: MetadataClient) -> Result<IdTokenCredentialsBuilder, Failure> {
        let shaped = self.format_full || self.standard || self.licenses;
        let of_iam = self.iam_endpoint.is_some() || self.token_uri.is_some();
        let builder = IdTokenCredentials::builder(&self.audience)
            .client(client)
            .service_account(&self.account.account);
        match self.via {
            Via::Metadata if of_iam => Err(Failure::new(
                Exit::Usage,
                "--iam-endpoint and --token-uri are for --via iam; add it, or leave them out",
            )),
            Via::Iam if shaped => Err(Failure::new(
                Exit::Usage,
                "only the metadata server knows --format-full, --standard and --licenses; \
                 leave them out, or leave out --via iam",
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
                let mut builder = builder.iam_flow();
                if let Some(url) = &self.iam_endpoint {
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
