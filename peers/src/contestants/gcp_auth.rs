//! gcp_auth. It asks `http://metadata.google.internal/` alone, so it
//! takes part only where this name leads to the server, as in the namespace
//! that `run` makes.

use std::net::{SocketAddr, ToSocketAddrs};

use gcp_auth::{MetadataServiceAccount, TokenProvider};

use crate::contestant::{Again, Contestant, Failure, Library};

/// Its metadata source.
#[derive(Debug)]
pub struct Metadata(MetadataServiceAccount);

impl Contestant for Metadata {
    const LIBRARY: Library = Library::GcpAuth;
    const CALL: &'static str = "`token(..).await`: the token";
    const AGAIN: Option<Again> = Some(Again::Lifetime(20));

    async fn new(server: SocketAddr) -> Result<Self, Failure> {
        let mut found = ("metadata.google.internal", 80).to_socket_addrs()?;
        if found.all(|address| address != server) {
            return Err("it asks metadata.google.internal alone".into());
        }
        Ok(Self(MetadataServiceAccount::new().await?))
    }

    async fn with<R: Send>(&self, see: impl FnOnce(&[u8]) -> R + Send) -> Result<R, Failure> {
        let token = self.0.token(&[]).await?;
        Ok(see(token.as_str().as_bytes()))
    }
}
