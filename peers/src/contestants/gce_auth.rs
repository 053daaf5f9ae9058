//! This project.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use gce_auth::{Credentials, Headers, MetadataClient, transport::HttpTransport};

use crate::contestant::{Again, Contestant, Failure, Library};

/// With connections of their own, which go with them, as those of all other
/// contestants do. Else a program that is said to have just begun would find,
/// and close, the connection of the round before.
fn credentials(server: SocketAddr) -> Result<Credentials, Failure> {
    let client = MetadataClient::builder()
        .endpoint(server.to_string())
        .transport(Arc::new(HttpTransport::new()))
        .build()?;
    Ok(Credentials::builder().client(client).build()?)
}

fn bytes(headers: &Headers) -> Result<&[u8], Failure> {
    let header = headers.authorization().ok_or("no authorization")?;
    Ok(header.as_bytes())
}

/// The header is lent to a closure.
#[derive(Debug)]
pub struct Borrowed(Credentials);

impl Contestant for Borrowed {
    const LIBRARY: Library = Library::GceAuth;
    const CALL: &'static str = "`with_cached(..)`: borrowed";

    async fn new(server: SocketAddr) -> Result<Self, Failure> {
        let credentials = credentials(server)?;
        credentials.wait_ready(Duration::from_secs(10)).await?;
        Ok(Self(credentials))
    }

    async fn with<R: Send>(&self, see: impl FnOnce(&[u8]) -> R + Send) -> Result<R, Failure> {
        let seen = self.0.with_cached(|headers| bytes(headers).map(see));
        seen.ok_or("no token in hand")?
    }
}

/// The headers are one's own.
#[derive(Debug)]
pub struct Cached(Credentials);

impl Contestant for Cached {
    const LIBRARY: Library = Library::GceAuth;
    const CALL: &'static str = "`cached_headers()`: cloned";

    async fn new(server: SocketAddr) -> Result<Self, Failure> {
        let credentials = credentials(server)?;
        credentials.wait_ready(Duration::from_secs(10)).await?;
        Ok(Self(credentials))
    }

    async fn with<R: Send>(&self, see: impl FnOnce(&[u8]) -> R + Send) -> Result<R, Failure> {
        let headers = self.0.cached_headers().ok_or("no token in hand")?;
        bytes(&headers).map(see)
    }
}

/// The headers are one's own, and waited for where they have to be.
#[derive(Debug)]
pub struct Async(Credentials);

impl Contestant for Async {
    const LIBRARY: Library = Library::GceAuth;
    const CALL: &'static str = "`headers().await`: cloned";
    const AGAIN: Option<Again> = Some(Again::Asked);

    async fn new(server: SocketAddr) -> Result<Self, Failure> {
        Ok(Self(credentials(server)?))
    }

    async fn with<R: Send>(&self, see: impl FnOnce(&[u8]) -> R + Send) -> Result<R, Failure> {
        bytes(&self.0.headers().await?).map(see)
    }

    async fn with_new<R: Send>(&self, see: impl FnOnce(&[u8]) -> R + Send) -> Result<R, Failure> {
        if let Some(token) = self.0.cached_token() {
            self.0.invalidate(&token);
        }
        self.with(see).await
    }
}

/// The same without a runtime.
#[derive(Debug)]
pub struct Blocking(Credentials);

impl Contestant for Blocking {
    const LIBRARY: Library = Library::GceAuth;
    const CALL: &'static str = "`blocking_headers()`: cloned";
    const BLOCKS: bool = true;
    const AGAIN: Option<Again> = Some(Again::Asked);

    async fn new(server: SocketAddr) -> Result<Self, Failure> {
        Ok(Self(credentials(server)?))
    }

    async fn with<R: Send>(&self, see: impl FnOnce(&[u8]) -> R + Send) -> Result<R, Failure> {
        bytes(&self.0.blocking_headers()?).map(see)
    }

    async fn with_new<R: Send>(&self, see: impl FnOnce(&[u8]) -> R + Send) -> Result<R, Failure> {
        if let Some(token) = self.0.cached_token() {
            self.0.invalidate(&token);
        }
        self.with(see).await
    }
}
