//! A signer as google-cloud-auth's.

use bytes::Bytes;
use gce_auth::Signer;
use google_cloud_auth::signer::{SigningError, SigningProvider};

#[derive(Debug)]
pub(super) struct SignerAdapter(Signer);

impl SignerAdapter {
    pub(super) fn new(ours: &Signer) -> Self {
        Self(ours.clone())
    }
}

impl SigningProvider for SignerAdapter {
    async fn client_email(&self) -> Result<String, SigningError> {
        let email = self.0.fetch_service_account_email().await;
        email.map_err(SigningError::from_msg)
    }

    async fn sign(&self, content: &[u8]) -> Result<Bytes, SigningError> {
        let signature = self
            .0
            .sign_bytes(content)
            .await
            .map_err(SigningError::from_msg)?;
        Ok(signature.into_bytes().into())
    }
}
