//! `gce-auth sign`.

use std::path::PathBuf;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use clap::ValueEnum;
use gce_auth::{Credentials, RetryPolicy, Signer};
use serde_json::json;

use crate::{
    config::{Reach, WhichAccount},
    exit::Failure,
    input,
    out::Out,
};

const EXAMPLES: &str = "\
Examples:
  gce-auth sign document.pdf > document.pdf.sig
  printf 'to be signed' | gce-auth sign --format json

The account needs roles/iam.serviceAccountTokenCreator on itself, or on the one it signs as.
Public keys are at https://www.googleapis.com/service_accounts/v1/jwk/EMAIL.";

/// Prints a signature of bytes, made by IAM with a key of the service account.
///
/// No key file is involved. The signature is RSA PKCS #1 v1.5 with SHA-256.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The bytes to sign; standard input if there is none, or -
    file: Option<PathBuf>,
    /// How the signature is printed
    #[arg(long, value_enum, default_value_t)]
    format: Form,
    #[command(flatten)]
    signer: Signing,
}

/// Who signs, and where IAM is asked for it.
#[derive(Debug, clap::Args)]
pub(crate) struct Signing {
    /// Sign as this account instead, by its email address
    #[arg(long = "as", value_name = "EMAIL")]
    signs: Option<String>,
    /// The accounts on the way to that one, each of which may act as the next, with commas between
    #[arg(long, value_name = "EMAIL", value_delimiter = ',', requires = "signs")]
    delegates: Vec<String>,
    /// Where the IAM Credentials API is, for emulators and private endpoints
    #[arg(long, value_name = "URL")]
    iam_endpoint: Option<String>,
    #[command(flatten)]
    account: WhichAccount,
    #[command(flatten)]
    reach: Reach,
}

/// The form of a signature on standard output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Form {
    /// Base64
    #[default]
    Text,
    /// A JSON object: signature, key_id
    Json,
    /// The bytes themselves
    Raw,
}

impl Args {
    pub(crate) fn run(&self, out: &Out) -> Result<(), Failure> {
        // First, as it sets the limit for what is read, too.
        let signer = self.signer.signer(out)?;
        let bytes = input::bytes(self.file.as_deref())?;
        let signature = signer.blocking_sign(&bytes)?;
        out.detail(format_args!("signed by key {}", signature.key_id()));
        let text = BASE64_STANDARD.encode(signature.bytes());
        match self.format {
            Form::Raw => out.bytes(signature.bytes()),
            Form::Text => out.value(&text),
            Form::Json => out.json(&json!({"signature": text, "key_id": signature.key_id()})),
        }
    }
}

impl Signing {
    pub(crate) fn signer(&self, out: &Out) -> Result<Signer, Failure> {
        let client = self.reach.client(out)?;
        out.detail(format_args!(
            "asking {} for a token to sign with",
            client.endpoint()?
        ));
        let credentials = Credentials::builder()
            .client(client)
            .service_account(&self.account.account)
            .build()?;
        let mut builder = Signer::builder().credentials(credentials);
        if let Some(email) = &self.signs {
            builder = builder.service_account(email).delegates(&self.delegates);
        }
        if let Some(url) = &self.iam_endpoint {
            builder = builder.iam_endpoint(url);
        }
        if let Some(timeout) = self.reach.timeout {
            builder = builder.retry(RetryPolicy::google_auth().budget(timeout));
        }
        Ok(builder.build()?)
    }
}
