//! object_store: the credentials of its Google Cloud Storage.

use std::net::SocketAddr;

use object_store::gcp::{GcpCredentialProvider, GoogleCloudStorageBuilder};

use crate::contestant::{Again, Contestant, Failure, Library};

/// The provider that a store asks before each request.
#[derive(Debug)]
pub struct Provider(GcpCredentialProvider);

impl Contestant for Provider {
    const LIBRARY: Library = Library::ObjectStore;
    const CALL: &'static str = "`get_credential().await`: the token";
    const AGAIN: Option<Again> = Some(Again::Lifetime(0));

    async fn new(_: SocketAddr) -> Result<Self, Failure> {
        let store = GoogleCloudStorageBuilder::new()
            .with_bucket_name("bucket")
            .build()?;
        Ok(Self(store.credentials().clone()))
    }

    async fn with<R: Send>(&self, see: impl FnOnce(&[u8]) -> R + Send) -> Result<R, Failure> {
        let credential = self.0.get_credential().await?;
        Ok(see(credential.bearer.as_bytes()))
    }
}
