//! Google's own library for Rust.

use std::net::SocketAddr;

use google_cloud_auth::credentials::{CacheableResource, Credentials, mds};
use http::{Extensions, HeaderMap, header::AUTHORIZATION};

use crate::contestant::{Contestant, Failure, Library};

fn bytes(headers: &HeaderMap) -> Result<&[u8], Failure> {
    let header = headers.get(AUTHORIZATION).ok_or("no authorization")?;
    Ok(header.as_bytes())
}

/// Headers, each time.
#[derive(Debug)]
pub struct Plain(Credentials);

impl Contestant for Plain {
    const LIBRARY: Library = Library::GoogleCloudAuth;
    const CALL: &'static str = "`headers(..).await`";

    async fn new(_: SocketAddr) -> Result<Self, Failure> {
        Ok(Self(mds::Builder::default().build()?))
    }

    async fn with<R: Send>(&self, see: impl FnOnce(&[u8]) -> R + Send) -> Result<R, Failure> {
        match self.0.headers(Extensions::new()).await? {
            CacheableResource::New { data, .. } => bytes(&data).map(see),
            CacheableResource::NotModified => Err("not modified since nothing".into()),
        }
    }
}

/// Headers that the caller keeps, and asks by tag whether they are current.
#[derive(Debug)]
pub struct Tagged {
    credentials: Credentials,
    kept: HeaderMap,
    tag: Extensions,
}

impl Contestant for Tagged {
    const LIBRARY: Library = Library::GoogleCloudAuth;
    const CALL: &'static str = "`headers(tag).await`: not modified";

    async fn new(_: SocketAddr) -> Result<Self, Failure> {
        let credentials = mds::Builder::default().build()?;
        let CacheableResource::New { entity_tag, data } =
            credentials.headers(Extensions::new()).await?
        else {
            return Err("not modified since nothing".into());
        };
        let mut tag = Extensions::new();
        tag.insert(entity_tag);
        Ok(Self {
            credentials,
            kept: data,
            tag,
        })
    }

    async fn with<R: Send>(&self, see: impl FnOnce(&[u8]) -> R + Send) -> Result<R, Failure> {
        match self.credentials.headers(self.tag.clone()).await? {
            CacheableResource::NotModified => bytes(&self.kept).map(see),
            CacheableResource::New { .. } => Err("modified".into()),
        }
    }
}
