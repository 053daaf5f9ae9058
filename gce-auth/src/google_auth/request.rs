//! What google-auth does to a request, in its order.

use http::{HeaderMap, HeaderName, HeaderValue, Uri};

use crate::{
    tokens::handle::Handle,
    values::{
        error::{Error, ErrorKind},
        headers::{Headers, sendable},
    },
};

const X_GOOG_API_CLIENT: HeaderName = HeaderName::from_static("x-goog-api-client");

impl Handle {
    pub(super) async fn before_request(
        &self,
        uri: &Uri,
        headers: &mut HeaderMap,
    ) -> Result<(), Error> {
        self.make_valid().await?;
        #[cfg(feature = "iam")]
        self.ready_boundary(uri).await;
        #[cfg(not(feature = "iam"))]
        let _ = uri;
        self.finish(headers)
    }

    pub(super) fn blocking_before_request(
        &self,
        uri: &Uri,
        headers: &mut HeaderMap,
    ) -> Result<(), Error> {
        self.blocking_make_valid()?;
        #[cfg(feature = "iam")]
        self.blocking_ready_boundary(uri);
        #[cfg(not(feature = "iam"))]
        let _ = uri;
        self.finish(headers)
    }

    pub(super) fn apply(&self, headers: &mut HeaderMap) -> Result<(), Error> {
        let applied = self.lend_held(|shown| self.put(&shown, headers));
        applied.ok_or_else(|| {
            Error::new(ErrorKind::InvalidOperation, "no token is held yet")
                .with_hint("call refresh before apply, or call headers")
        })
    }

    pub(super) fn apply_token(&self, headers: &mut HeaderMap, token: &str) -> Result<(), Error> {
        self.put(&Headers::new(sendable(token)?, self.extra.clone()), headers);
        Ok(())
    }

    fn finish(&self, headers: &mut HeaderMap) -> Result<(), Error> {
        let mut finished = headers.clone();
        self.apply(&mut finished)?;
        self.count(&mut finished);
        *headers = finished;
        Ok(())
    }

    /// Adds the metric of the source, as google-auth's `before_request`.
    pub(crate) fn count(&self, headers: &mut HeaderMap) {
        if let Some(metric) = self.inner.source.metric() {
            add_metric(headers, metric);
        }
    }
}

/// Adds the metric to what `x-goog-api-client` says, or says it alone.
fn add_metric(headers: &mut HeaderMap, metric: &str) {
    let said = headers.get(X_GOOG_API_CLIENT).map(HeaderValue::as_bytes);
    let mut value = said.unwrap_or_default().to_vec();
    if said.is_some() {
        value.push(b' ');
    }
    value.extend_from_slice(metric.as_bytes());
    if let Ok(value) = HeaderValue::from_bytes(&value) {
        headers.insert(X_GOOG_API_CLIENT, value);
    }
}
