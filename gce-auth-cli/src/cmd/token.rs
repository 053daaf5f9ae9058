//! `gce-auth token`.

use std::time::Duration;

use gce_auth::Credentials;

use crate::{
    cmd::format::{self, Format, Printable},
    config::{self, Reach, WhichAccount},
    exit::{Exit, Failure},
    out::Out,
    text,
};

const EXAMPLES: &str = "\
Examples:
  gce-auth token
  gce-auth token --format curl | curl -K - https://storage.googleapis.com/storage/v1/b/BUCKET
  eval \"$(gce-auth token --format export)\"
  gce-auth token --min-lifetime 600 || echo 'try again in a few minutes'";

/// Prints an access token of the machine's service account.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Scopes to ask for, separated by commas; Compute Engine hands out the instance's scopes anyway
    #[arg(long, value_name = "SCOPES", value_delimiter = ',')]
    scopes: Vec<String>,
    /// Fail with code 7 if the token holds for fewer seconds than this
    #[arg(long, value_name = "SECONDS", value_parser = config::seconds)]
    min_lifetime: Option<Duration>,
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
        let client = self.reach.client(out)?;
        out.detail(format_args!(
            "asking {} for a token of {}",
            client.endpoint()?,
            self.account.account
        ));
        let credentials = Credentials::builder()
            .client(client)
            .service_account(&self.account.account)
            .scopes(full_scopes(&self.scopes))
            .build()?;
        let token = credentials.blocking_token()?;
        let expires_at = token.expires_at();
        out.detail(format_args!(
            "a token of {} characters, {}",
            token.secret().len(),
            format::validity(expires_at)
        ));
        self.check_lifetime(expires_at.map(format::left))?;
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
                    "the token holds for {} more, and {} were asked for; the metadata server \
                     hands out a new one about 5 minutes before the old one ends",
                    text::lasting(left),
                    text::lasting(least),
                ),
            )),
            _ => Ok(()),
        }
    }
}

/// Scopes as the server knows them, however they were separated.
pub(crate) fn full_scopes(scopes: &[String]) -> impl Iterator<Item = String> {
    scopes
        .iter()
        .flat_map(|scopes| scopes.split_whitespace())
        .map(full_scope)
}

/// A scope as the server knows it; a bare word is one of Google's.
fn full_scope(scope: &str) -> String {
    let bare = scope
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
    if bare && !["openid", "email", "profile"].contains(&scope) {
        return format!("https://www.googleapis.com/auth/{scope}");
    }
    scope.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bare_scopes_are_googles() {
        assert_eq!(
            full_scope("devstorage.read_only"),
            "https://www.googleapis.com/auth/devstorage.read_only"
        );
        assert_eq!(full_scope("openid"), "openid");
        assert_eq!(
            full_scope("https://mail.google.com/"),
            "https://mail.google.com/"
        );
        let scopes = [
            "openid  email".to_owned(),
            String::new(),
            "profile".to_owned(),
        ];
        let scopes: Vec<_> = full_scopes(&scopes).collect();
        assert_eq!(scopes, ["openid", "email", "profile"]);
    }
}
