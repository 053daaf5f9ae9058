//! ID tokens for many audiences, held at a time.

use std::{
    net::SocketAddr,
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, Instant},
};

use gce_auth::{IdTokenCredentials, MetadataClient};
use http::HeaderValue;

use crate::contestant::Failure;

/// An audience of this number.
pub fn audience(number: usize) -> String {
    format!("https://service-{number:05}.example.com/path")
}

/// A credential for each audience, with its token in hand, over one client.
///
/// # Errors
/// If one has none.
pub fn gce_auth(server: SocketAddr, count: usize) -> Result<Vec<IdTokenCredentials>, Failure> {
    let client = MetadataClient::builder()
        .endpoint(server.to_string())
        .build()?;
    let all = (0..count).map(|number| {
        let builder = IdTokenCredentials::builder(audience(number));
        let credentials = builder.client(client.clone()).build()?;
        credentials.blocking_headers()?;
        Ok(credentials)
    });
    all.collect()
}

/// The same of google-cloud-auth, in a runtime of tokio's.
///
/// # Errors
/// If one has none.
#[cfg(feature = "peers")]
pub async fn google_cloud_auth(
    count: usize,
) -> Result<Vec<google_cloud_auth::credentials::idtoken::IDTokenCredentials>, Failure> {
    use google_cloud_auth::credentials::idtoken::mds;
    let mut all = Vec::with_capacity(count);
    for number in 0..count {
        let credentials = mds::Builder::new(audience(number)).build()?;
        credentials.id_token().await?;
        all.push(credentials);
    }
    Ok(all)
}

/// The least that it takes: the header and its end of life behind a lock, as
/// threads may want to change it.
#[derive(Debug)]
pub struct Least(RwLock<(HeaderValue, Instant)>);

impl Least {
    /// For so many audiences, without asking anybody.
    ///
    /// # Errors
    /// Never, with the header that it has.
    pub fn all(count: usize) -> Result<Vec<Arc<Self>>, Failure> {
        let until = Instant::now() + Duration::from_secs(3600);
        let all = (0..count).map(|number| {
            // As long as the others' are.
            let header = HeaderValue::try_from(format!("Bearer {number:0>800}"))?;
            Ok(Arc::new(Self(RwLock::new((header, until)))))
        });
        all.collect()
    }

    /// The header, cloned.
    pub fn header(&self) -> Option<HeaderValue> {
        let held = self.0.read().unwrap_or_else(PoisonError::into_inner);
        (Instant::now() < held.1).then(|| held.0.clone())
    }
}
