//! Credentials of google-cloud-auth as gce-auth's headers.

use gce_auth::{Error, Headers, HeadersFuture, ProvideHeaders};
use google_cloud_auth::credentials::{CacheableResource, Credentials};
use http::{Extensions, header::AUTHORIZATION};

/// Credentials of google-cloud-auth, for everything that takes a [`ProvideHeaders`].
///
/// They keep their token themselves and cannot be told of a rejected one, so that
/// `invalidate_headers` returns `false`. Some of them need a tokio runtime.
#[derive(Clone, Debug)]
pub struct Theirs(Credentials);

impl Theirs {
    pub(super) fn new(theirs: Credentials) -> Self {
        Self(theirs)
    }

    async fn headers(&self) -> Result<Headers, Error> {
        let answer = self.0.headers(Extensions::new()).await;
        let CacheableResource::New { data, .. } = answer.map_err(Error::of_provider)? else {
            return Err(Error::of_provider(
                "google-cloud-auth returned no headers although none are cached here",
            ));
        };
        let bearer = data
            .get(AUTHORIZATION)
            .and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
        let Some(bearer) = bearer else {
            return Err(Error::of_provider(
                "these credentials of google-cloud-auth have no bearer token; API keys are not \
                 supported",
            ));
        };
        let headers = Headers::bearer(bearer)?;
        Ok(match data.get("x-goog-user-project") {
            Some(project) => headers.with_quota_project(project.clone()),
            None => headers,
        })
    }
}

impl ProvideHeaders for Theirs {
    fn provide_headers(&self) -> HeadersFuture<'_> {
        HeadersFuture::new(self.headers())
    }
}
