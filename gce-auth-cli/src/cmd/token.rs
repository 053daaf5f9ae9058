//! `gce-auth token`.

use std::time::Duration;

use crate::{
    clock,
    exit::{Exit, Failure},
    options::{AccessArgs, Printable, Scopes, SourceArgs, TokenFormat, seconds},
    output::Output,
    text,
};

const EXAMPLES: &str = "\
Examples:
  gce-auth token
  gce-auth token --format curl | curl -K - https://storage.googleapis.com/storage/v1/b/BUCKET
  eval \"$(gce-auth token --format export)\"
  gce-auth token --as reader@my-project.iam.gserviceaccount.com --scopes devstorage.read_only
  gce-auth token --source key.json --boundary boundary.json
  gce-auth token --min-lifetime 600 || echo 'try again in a few minutes'";

/// Prints an access token: of this machine's service account, of a credentials file, or of another
/// account.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The scopes to request, separated by commas; Compute Engine returns the instance's scopes
    /// anyway
    #[arg(long, value_name = "SCOPES", value_parser = Scopes::parse)]
    scopes: Vec<Scopes>,
    /// Fail with code 7 if the token is valid for fewer seconds than this
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    min_lifetime: Option<Duration>,
    /// The output format
    #[arg(long, value_enum, default_value_t)]
    format: TokenFormat,
    #[command(flatten)]
    access: AccessArgs,
    #[command(flatten)]
    source: SourceArgs,
}

impl Args {
    pub(crate) fn run(&self, out: &Output) -> Result<(), Failure> {
        let credentials = self
            .source
            .credentials(&self.scopes, Some(&self.access), out)?;
        let token = self.access.limit(credentials)?.blocking_token()?;
        let expires_at = token.expires_at();
        out.detail(format_args!(
            "a token of {} characters, {}",
            token.secret().len(),
            clock::validity(expires_at)
        ));
        self.check_lifetime(expires_at.map(clock::left))?;
        let token = Printable {
            // Terraform reads the first, gcloud the second.
            variables: &["GOOGLE_OAUTH_ACCESS_TOKEN", "CLOUDSDK_AUTH_ACCESS_TOKEN"],
            secret: token.secret(),
            expires_at,
        };
        self.format.print(&token, out)
    }

    fn check_lifetime(&self, left: Option<Duration>) -> Result<(), Failure> {
        match (self.min_lifetime, left) {
            (Some(least), Some(left)) if left < least => Err(Failure::new(
                Exit::TooShort,
                format!(
                    "the token is valid for {}, less than the {} of --min-lifetime; the metadata \
                     server returns a new token about 5 minutes before the old one expires",
                    text::lasting(left),
                    text::lasting(least),
                ),
            )),
            _ => Ok(()),
        }
    }
}
