//! `gce-auth verify`.

use std::{path::PathBuf, time::Duration};

use gce_auth::{Error, ErrorKind, IdTokenVerifier};

use crate::{
    config::{Reach, seconds},
    exit::{Exit, Failure},
    input,
    out::Out,
};

const EXAMPLES: &str = "\
Examples:
  gce-auth id-token --audience https://x.app | gce-auth verify --audience https://x.app
  gce-auth verify --audience https://x.app --email caller@project.iam.gserviceaccount.com token.txt

The exit code is 0 if the token is to be trusted, 1 if it is not, another if that cannot be found
out: 3 if the keys cannot be had.";

/// Verifies an ID token, and prints its claims or says why it is refused.
///
/// Its signature, issuer, audience and times. No metadata server is needed. The token is read from a
/// file or standard input, as other users of a machine see the arguments of a program.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// A file that holds the token; standard input if there is none, or -
    file: Option<PathBuf>,
    /// Whom the token must be for. May be repeated: one of these
    #[arg(long, value_name = "URL", required = true)]
    audience: Vec<String>,
    /// Who must have made it, instead of Google. May be repeated: one of these
    #[arg(long, value_name = "ISSUER")]
    issuer: Vec<String>,
    /// The account it must be of
    #[arg(long)]
    email: Option<String>,
    /// A file with the keys, as a JWK set, instead of Google's over the network
    #[arg(long, value_name = "FILE", conflicts_with = "jwks_url")]
    keys: Option<PathBuf>,
    /// Where the keys are published as a JWK set, instead of Google's
    #[arg(long, value_name = "URL")]
    jwks_url: Option<String>,
    /// How far clocks may be apart
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    leeway: Option<Duration>,
    /// Give up after this many seconds
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    timeout: Option<Duration>,
}

impl Args {
    pub(crate) fn run(&self, out: &Out) -> Result<(), Failure> {
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

    fn verifier(&self, out: &Out) -> Result<IdTokenVerifier, Failure> {
        let mut builder = IdTokenVerifier::builder().audiences(self.audience.iter());
        if self.timeout.is_some() {
            let reach = Reach {
                endpoint: None,
                timeout: self.timeout,
            };
            builder = builder.client(reach.client(out)?);
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

/// Codes 2 and up are about keys that cannot be had; a refused token is a plain no, and no is nothing else.
fn refused(error: Error) -> Failure {
    let exit = match Exit::of(&error) {
        _ if error.kind() == ErrorKind::Rejected => Exit::Failed,
        Exit::Failed => Exit::NoServer,
        other => other,
    };
    Failure::new(exit, Failure::from(error).to_string())
}
