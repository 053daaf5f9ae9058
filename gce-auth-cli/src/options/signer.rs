//! The account that signs.

use gce_auth::{RetryPolicy, Signer};

use crate::{exit::Failure, options::source::SourceArgs, output::Output};

/// The account that signs.
#[derive(Debug, clap::Args)]
pub(crate) struct SignerArgs {
    #[command(flatten)]
    source: SourceArgs,
}

impl SignerArgs {
    pub(crate) fn signer(&self, out: &Output) -> Result<Signer, Failure> {
        let credentials = self.source.own_credentials(&[], out)?;
        let mut builder = Signer::builder().credentials(credentials);
        if let Some(email) = &self.source.target {
            let delegates = &self.source.delegates;
            builder = builder.service_account(email).delegates(delegates);
        }
        if let Some(url) = &self.source.iam_endpoint {
            builder = builder.iam_endpoint(url);
        }
        if let Some(timeout) = self.source.client.timeout {
            builder = builder.retry(RetryPolicy::google_auth().budget(timeout));
        }
        Ok(builder.build()?)
    }
}
