//! [object_store] 0.14: Google Cloud Storage with gce-auth's tokens, and URLs signed in the name of
//! its account.
//!
//! ```no_run
//! use gce_auth_adapters::object_store_0_14::Authorize;
//! use object_store::gcp::GoogleCloudStorageBuilder;
//!
//! # fn store() -> object_store::Result<()> {
//! let credentials = gce_auth::Credentials::new();
//! let store = GoogleCloudStorageBuilder::new().with_bucket_name("b").authorize(&credentials).build()?;
//! # Ok(())
//! # }
//! ```
//!
//! Their interface cannot report a token that a server rejected: call [`Credentials::invalidate`]
//! after [`object_store::Error::Unauthenticated`]. It has no place for a quota project.
//!
//! [object_store]: https://docs.rs/object_store

use std::sync::Arc;

use async_trait::async_trait;
use gce_auth::{Credentials, Error, Signer};
use object_store::{
    CredentialProvider,
    gcp::{
        GcpCredential, GcpCredentialProvider, GcpSigningCredential, GcpSigningCredentialProvider,
        GoogleCloudStorageBuilder,
    },
};

/// Takes tokens and signatures of gce-auth.
pub trait Authorize {
    /// Sets [`credentials`] and, for signed URLs, [`signing_credentials`].
    #[must_use]
    fn authorize(self, ours: &Credentials) -> Self;
}

impl Authorize for GoogleCloudStorageBuilder {
    fn authorize(self, ours: &Credentials) -> Self {
        let signer = Signer::new(ours.clone());
        self.with_credentials(credentials(ours))
            .with_signing_credentials(signing_credentials(&signer))
    }
}

/// Returns `ours` for `GoogleCloudStorageBuilder::with_credentials`.
#[must_use]
pub fn credentials(ours: &Credentials) -> GcpCredentialProvider {
    Arc::new(Tokens(ours.clone()))
}

/// Returns the account of `ours` for `GoogleCloudStorageBuilder::with_signing_credentials`.
///
/// object_store then signs through `signBlob` of IAM at `iamcredentials.googleapis.com`, with a
/// token of [`credentials`]. Google changes the keys of IAM: a URL may stop working after 12 hours.
#[must_use]
pub fn signing_credentials(ours: &Signer) -> GcpSigningCredentialProvider {
    Arc::new(Account(ours.clone()))
}

#[derive(Debug)]
struct Tokens(Credentials);

#[async_trait]
impl CredentialProvider for Tokens {
    type Credential = GcpCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<GcpCredential>> {
        let token = self.0.token().await.map_err(store_error)?;
        Ok(Arc::new(GcpCredential {
            bearer: token.secret().to_owned(),
        }))
    }
}

#[derive(Debug)]
struct Account(Signer);

#[async_trait]
impl CredentialProvider for Account {
    type Credential = GcpSigningCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<GcpSigningCredential>> {
        let email = self
            .0
            .fetch_service_account_email()
            .await
            .map_err(store_error)?;
        Ok(Arc::new(GcpSigningCredential {
            email,
            private_key: None,
        }))
    }
}

fn store_error(error: Error) -> object_store::Error {
    object_store::Error::Generic {
        store: "GCS",
        source: Box::new(error),
    }
}
