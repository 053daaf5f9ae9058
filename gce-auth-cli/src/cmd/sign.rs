//! `gce-auth sign`.

use std::path::PathBuf;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use clap::ValueEnum;
use serde_json::json;

use crate::{exit::Failure, input, options::SignerArgs, output::Output};

const EXAMPLES: &str = "\
Examples:
  gce-auth sign --format raw report.pdf > report.pdf.sig
  openssl dgst -sha256 -verify key.pem -signature report.pdf.sig report.pdf
  printf 'to be signed' | gce-auth sign --format json

The account needs roles/iam.serviceAccountTokenCreator on itself, or on the account of --as. Its
certificates, by key id, are at https://www.googleapis.com/service_accounts/v1/metadata/x509/EMAIL;
`openssl x509 -pubkey -noout` turns one into key.pem. -v and --format json tell the key id.";

/// Prints a signature of bytes, made by IAM with a key of the service account.
///
/// Needs no key file. The signature is RSA PKCS #1 v1.5 with SHA-256.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The file to sign. Default: standard input, also for -
    file: Option<PathBuf>,
    /// The output format
    #[arg(long, value_enum, default_value_t)]
    format: SignatureFormat,
    #[command(flatten)]
    signer: SignerArgs,
}

/// The output format of a signature.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum SignatureFormat {
    /// Base64
    #[default]
    Text,
    /// A JSON object: signature, key_id
    Json,
    /// The bytes of the signature, as openssl reads them
    Raw,
}

impl Args {
    pub(crate) fn run(&self, out: &Output) -> Result<(), Failure> {
        // Sets the deadline, so it comes before the file is read.
        let signer = self.signer.signer(out)?;
        let bytes = input::bytes(self.file.as_deref())?;
        let signature = signer.blocking_sign_bytes(&bytes)?;
        out.detail(format_args!("signed by key {}", signature.key_id()));
        let text = BASE64_STANDARD.encode(signature.bytes());
        match self.format {
            SignatureFormat::Raw => out.bytes(signature.bytes()),
            SignatureFormat::Text => out.value(&text),
            SignatureFormat::Json => {
                out.json(&json!({"signature": text, "key_id": signature.key_id()}))
            }
        }
    }
}
