//! Signed URLs of Cloud Storage: each allows one operation until it expires.

use std::{fmt, time::Duration};

use http::Method;
use zeroize::Zeroizing;

use crate::{
    io::crypto,
    signer::sign::Signer,
    values::{budget::Budget, error::Error},
    wire::signed_url::{Style, Wish},
};

/// Describes what a signed URL of Cloud Storage allows.
///
/// # Examples
/// ```no_run
/// # async fn call(signer: gce_auth::Signer) -> Result<(), gce_auth::Error> {
/// use std::time::Duration;
/// use gce_auth::StorageUrl;
///
/// let wish = StorageUrl::object("bucket", "reports/2026.pdf")
///     .method(http::Method::PUT)
///     .header("content-type", "application/pdf")
///     .lifetime(Duration::from_secs(600));
/// let url = signer.sign_url(&wish).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "it allows nothing until it is signed"]
pub struct StorageUrl(Wish);

impl StorageUrl {
    /// Allows `GET` of an object, for 15 minutes.
    pub fn object(bucket: impl Into<String>, object: impl Into<String>) -> Self {
        Self::new(bucket.into(), Some(object.into()))
    }

    /// Allows `GET` of a bucket, which lists its objects, for 15 minutes.
    pub fn bucket(bucket: impl Into<String>) -> Self {
        Self::new(bucket.into(), None)
    }

    fn new(bucket: String, object: Option<String>) -> Self {
        Self(Wish {
            method: Method::GET,
            bucket,
            object,
            lifetime: Duration::from_secs(900),
            headers: Vec::new(),
            query: Vec::new(),
            origin: None,
            style: Style::Path,
        })
    }

    /// Sets the method: `GET`, `HEAD`, `PUT`, `DELETE`, or `POST` to begin a
    /// resumable upload. Default: `GET`.
    pub fn method(mut self, method: Method) -> Self {
        self.0.method = method;
        self
    }

    /// Sets the lifetime of the URL, in whole seconds, at most 7 days. Default:
    /// 15 minutes. Beyond 12 hours, see [`Signer::sign_url`].
    pub fn lifetime(mut self, lifetime: Duration) -> Self {
        self.0.lifetime = lifetime;
        self
    }

    /// Adds a header that the request must carry, with this value.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.0.headers.push((name.into(), value.into()));
        self
    }

    /// Adds a query parameter, such as `generation` or
    /// `response-content-disposition`.
    pub fn query(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.0.query.push((name.into(), value.into()));
        self
    }

    /// Sets the URL of Cloud Storage: `https://host` or, for emulators,
    /// `http://host:port`. Default: `https://storage.` and the universe domain.
    /// The port is not signed, as in Google's clients.
    pub fn endpoint(mut self, url: impl Into<String>) -> Self {
        self.0.origin = Some(url.into());
        self
    }

    /// Sets whether the bucket is put into the host, as in
    /// `https://bucket.storage.googleapis.com`, and not into the path. Default:
    /// false. Of this and [`bucket_bound`](Self::bucket_bound) the later counts.
    pub fn virtual_hosted(mut self, virtual_hosted: bool) -> Self {
        if virtual_hosted {
            self.0.style = Style::VirtualHosted;
        } else if self.0.style == Style::VirtualHosted {
            self.0.style = Style::Path;
        }
        self
    }

    /// Sets a host that stands for the bucket, `https://host`, as a load balancer
    /// or a CNAME provides it.
    pub fn bucket_bound(mut self, url: impl Into<String>) -> Self {
        self.0.origin = Some(url.into());
        self.0.style = Style::Bound;
        self
    }
}

/// A signed URL: a secret, as every holder may use it.
///
/// `Debug` shows no part of it, and it is wiped when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct SignedUrl(Zeroizing<String>);

impl SignedUrl {
    /// Returns the URL.
    #[must_use]
    pub fn secret(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SignedUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SignedUrl([redacted])")
    }
}

impl Signer {
    /// Signs a URL that allows its holders one operation in Cloud Storage, without
    /// credentials, until it expires (V4, `GOOG4-RSA-SHA256`). It allows nothing
    /// that the signing account may not do.
    ///
    /// # URLs beyond 12 hours
    /// IAM signs with keys that Google rotates. It promises that a key verifies a
    /// signature for 12 hours (Google, "Creating signatures"). A URL with a later
    /// expiry may stop working earlier: Cloud Storage then answers 403
    /// `SignatureDoesNotMatch`. Make a new URL in time, or sign with a key file.
    ///
    /// # Errors
    /// [`Config`](crate::ErrorKind::Config) if the description makes no sense;
    /// else as for [`sign_bytes`](Self::sign_bytes).
    ///
    /// # Cancel safety
    /// As for [`sign_bytes`](Self::sign_bytes).
    pub async fn sign_url(&self, wish: &StorageUrl) -> Result<SignedUrl, Error> {
        let (signer, wish) = (self.clone(), wish.clone());
        self.background(move |budget| signer.sign_url_within(budget, &wish))
            .await
    }

    /// [`sign_url`](Self::sign_url), waiting on this thread.
    ///
    /// # Errors
    /// As for [`sign_url`](Self::sign_url).
    pub fn blocking_sign_url(&self, wish: &StorageUrl) -> Result<SignedUrl, Error> {
        self.sign_url_within(self.budget(), wish)
    }

    fn sign_url_within(&self, budget: Budget, wish: &StorageUrl) -> Result<SignedUrl, Error> {
        let wish = &wish.0;
        wish.check()?;
        let email = self.blocking_fetch_service_account_email()?;
        let universe = match &wish.origin {
            Some(_) => String::new(),
            None => self.credentials().blocking_universe_domain()?,
        };
        let now = self.credentials().client().0.clock.now().wall;
        let unsigned = wish.plan(&universe, &email, now)?;
        let hash = crypto::sha256(unsigned.canonical.as_bytes());
        let signature =
            self.sign_bytes_within(budget, unsigned.string_to_sign(&hash).as_bytes())?;
        Ok(SignedUrl(Zeroizing::new(
            unsigned.signed(signature.bytes()),
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bucket_leaves_the_host_again_and_a_bound_one_stays() {
        let wish = || StorageUrl::bucket("b").virtual_hosted(true);
        assert_eq!(wish().0.style, Style::VirtualHosted);
        assert_eq!(wish().virtual_hosted(false).0.style, Style::Path);
        let bound = wish().bucket_bound("https://x").virtual_hosted(false);
        assert_eq!(bound.0.style, Style::Bound);
    }
}
