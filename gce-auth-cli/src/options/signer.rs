//! Who signs, and where IAM is asked for it.

use gce_auth::{Credentials, RetryPolicy, Signer};

use crate::{
    exit::Failure,
    options::client::{AccountArgs, ClientArgs},
    output::Output,
};

/// Who signs, and where IAM is asked for it.
#[derive(Debug, clap::Args)]
pub(crate) struct SignerArgs {
    /// Sign as this service account instead, by its email address
    #[arg(long = "as", value_name = "EMAIL")]
    target: Option<String>,
    /// The accounts between this one and that of --as, each of which may act as the next,
    /// separated by commas
    #[arg(long, value_name = "EMAIL", value_delimiter = ',', requires = "target")]
    delegates: Vec<String>,
    /// The URL of the IAM Credentials API, for emulators and private endpoints
    #[arg(long, value_name = "URL")]
    iam_endpoint: Option<String>,
    #[command(flatten)]
    account: AccountArgs,
    #[command(flatten)]
    client: ClientArgs,
}

impl SignerArgs {
    pub(crate) fn signer(&self, out: &Output) -> Result<Signer, Failure> {
        let client = self.client.client(out)?;
        out.detail(format_args!(
            "asking {} for a token to sign with",
            client.endpoint()?
        ));
        let credentials = Credentials::builder()
            .client(client)
            .service_account(&self.account.account)
            .build()?;
        let mut builder = Signer::builder().credentials(credentials);
        if let Some(email) = &self.target {
            builder = builder.service_account(email).delegates(&self.delegates);
        }
        if let Some(url) = &self.iam_endpoint {
            builder = builder.iam_endpoint(url);
        }
        if let Some(timeout) = self.client.timeout {
            builder = builder.retry(RetryPolicy::google_auth().budget(timeout));
        }
        Ok(builder.build()?)
    }
}
