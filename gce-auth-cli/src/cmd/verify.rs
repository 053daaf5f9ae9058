//! `gce-auth verify`.

use std::{path::PathBuf, time::Duration};

use gce_auth::{Error, ErrorKind, IdTokenVerifier};

use crate::{
    exit::{Exit, Failure},
    input,
    options::{ClientArgs, seconds},
    output::Output,
};

const EXAMPLES: &str = "\
Examples:
  gce-auth id-token --audience https://x.app | gce-auth verify --audience https://x.app
  gce-auth verify --audience https://x.app --email caller@project.iam.gserviceaccount.com token.txt

The exit code is 0 if the token is valid, 1 if it is not, and another code if that is unknown: 3 if
the keys cannot be fetched.";

/// Verifies an ID token, and prints its claims or the reason to refuse it.
///
/// Checks signature, issuer, audience and times. Needs no metadata server. Reads the token from a
/// file or standard input, as other users of the machine can see arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The file with the token. Default: standard input, also for -
    file: Option<PathBuf>,
    /// The audience to accept. May be repeated
    #[arg(long, value_name = "URL", required = true)]
    audience: Vec<String>,
    /// The issuer to accept, instead of Google. May be repeated
    #[arg(long, value_name = "ISSUER")]
    issuer: Vec<String>,
    /// The email address that the token must have
    #[arg(long)]
    email: Option<String>,
    /// A file with the keys, as a JWK set, instead of Google's keys
    #[arg(long, value_name = "FILE", conflicts_with = "jwks_url")]
    keys: Option<PathBuf>,
    /// The URL of the keys, a JWK set, instead of Google's
    #[arg(long, value_name = "URL")]
    jwks_url: Option<String>,
    /// The allowed clock skew
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    leeway: Option<Duration>,
    /// Give up after this many seconds
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    timeout: Option<Duration>,
}

impl Args {
    pub(crate) fn run(&self, out: &Output) -> Result<(), Failure> {
        let verifier = self.verifier(out)?;
        let token = input::text(self.file.as_deref())?;
        let token = token.trim();
        let token = token.strip_prefix("Bearer ").unwrap_or(token);
        let claims = verifier.blocking_verify(token).map_err(refused)?;
        out.detail(format_args!(
            "the token is {}'s, for {}",
            claims.email().unwrap_or_else(|| claims.subject()),
            claims.audience()
        ));
        let claims = claims.to_json();
        match serde_json::from_str(&claims) {
            Ok(claims) => out.json(&claims),
            Err(_) => out.value(&claims),
        }
    }

    fn verifier(&self, out: &Output) -> Result<IdTokenVerifier, Failure> {
        let mut builder = IdTokenVerifier::builder().audiences(self.audience.iter());
        if self.timeout.is_some() {
            let client = ClientArgs {
                endpoint: None,
                timeout: self.timeout,
            };
            builder = builder.client(client.client(out)?);
        }
        for issuer in &self.issuer {
            builder = builder.issuer(issuer);
        }
        if let Some(email) = &self.email {
            builder = builder.email(email);
        }
        if let Some(file) = &self.keys {
            builder = builder.keys(input::text(Some(file))?);
        }
        if let Some(url) = &self.jwks_url {
            builder = builder.jwks_url(url);
        }
        if let Some(leeway) = self.leeway {
            builder = builder.leeway(leeway);
        }
        Ok(builder.build()?)
    }
}

/// Code 1 means that the token is refused, and nothing else; codes 2 and up mean that the keys are
/// not available.
fn refused(error: Error) -> Failure {
    let exit = match Exit::of(&error) {
        _ if error.kind() == ErrorKind::Rejected => Exit::Failed,
        Exit::Failed => Exit::NoServer,
        other => other,
    };
    Failure::new(exit, Failure::from(error).to_string())
}
