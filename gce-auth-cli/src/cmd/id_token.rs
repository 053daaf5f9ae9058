//! `gce-auth id-token`.

use gce_auth::{IdTokenCredentials, IdTokenFormat};

use crate::{
    cmd::format::{self, Format, Printable},
    config::{Reach, WhichAccount},
    exit::Failure,
    out::Out,
};

const EXAMPLES: &str = "\
Examples:
  gce-auth id-token --audience https://service-abc.a.run.app
  gce-auth id-token --audience https://x.app --format curl | curl -K - https://x.app/";

/// Prints an ID token: proof to a service of who is calling.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Whom the token is for, usually the URL of the service that receives it
    #[arg(long, value_name = "URL", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    audience: String,
    /// With email and, on Compute Engine, facts about the machine (the default)
    #[arg(long, conflicts_with = "standard")]
    format_full: bool,
    /// With the standard claims alone
    #[arg(long, conflicts_with = "licenses")]
    standard: bool,
    /// With the licences of the machine's images
    #[arg(long)]
    licenses: bool,
    /// How the token is printed
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    #[command(flatten)]
    account: WhichAccount,
    #[command(flatten)]
    reach: Reach,
}

impl Args {
    pub(crate) fn run(&self, out: &Out) -> Result<(), Failure> {
        let client = self.reach.client()?;
        out.detail(format_args!(
            "asking {} for an ID token of {}",
            client.endpoint()?,
            self.account.account
        ));
        let format = if self.standard && !self.format_full {
            IdTokenFormat::Standard
        } else {
            IdTokenFormat::Full
        };
        let token = IdTokenCredentials::builder(&self.audience)
            .client(client)
            .service_account(&self.account.account)
            .format(format)
            .licenses(self.licenses)
            .build()?
            .blocking_token()?;
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
}
