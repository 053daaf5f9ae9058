//! The headers that a request to a Google API carries.

use std::{fmt, sync::Arc};

use http::{HeaderMap, HeaderName, HeaderValue, header::AUTHORIZATION};

use crate::values::{
    error::{Error, ErrorKind},
    secret::{BearerValue, detached},
    token::{Bearer, Validity},
};

/// `x-goog-user-project`: the project that is billed and whose quota is used.
pub(crate) const X_GOOG_USER_PROJECT: HeaderName = HeaderName::from_static("x-goog-user-project");

/// `x-allowed-locations`: the regional access boundary of the account.
pub(crate) const X_ALLOWED_LOCATIONS: HeaderName = HeaderName::from_static("x-allowed-locations");

/// The headers to put on a request, ready made.
///
/// `authorization` (but for anonymous credentials), `x-goog-user-project`
/// where a quota project is set, and `x-allowed-locations` where a regional
/// access boundary was asked for and is known. Cloning and applying share the
/// bytes; nothing is allocated where the map has room. `Debug` shows names
/// only.
///
/// # Examples
/// ```
/// # use gce_auth::{Credentials, Error};
/// # fn call(credentials: &Credentials) -> Result<(), Error> {
/// let mut request = http::Request::get("https://storage.googleapis.com/").body(()).unwrap();
/// credentials.blocking_headers()?.apply_to(request.headers_mut());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, PartialEq)]
pub struct Headers {
    pub(crate) bearer: Option<BearerValue>,
    pub(crate) user_project: Option<Arc<HeaderValue>>,
    pub(crate) locations: Option<Arc<HeaderValue>>,
}

/// Headers as a credential hands them out, and how long their token holds:
/// what a thread keeps a copy of.
#[derive(Clone)]
pub(crate) struct Shown {
    pub(crate) headers: Headers,
    pub(crate) validity: Validity,
}

impl Shown {
    /// A copy that shares no buffer and no reference count with this one.
    pub(crate) fn detached(&self) -> Self {
        Self {
            headers: self.headers.detached(),
            validity: self.validity,
        }
    }

    /// The token in the headers; `None` only for anonymous credentials.
    pub(crate) fn into_bearer(self) -> Option<Bearer> {
        let value = self.headers.bearer?;
        Some(Bearer {
            value,
            validity: self.validity,
        })
    }
}

/// Which headers these were: equal tags mean equal headers.
///
/// It keeps the token alive that it stands for, and shows no part of it.
#[derive(Clone, PartialEq)]
pub struct HeadersTag(pub(crate) Headers);

impl fmt::Debug for HeadersTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HeadersTag")
    }
}

impl Headers {
    pub(crate) fn new(bearer: Option<BearerValue>, user_project: Option<Arc<HeaderValue>>) -> Self {
        Self {
            bearer,
            user_project,
            locations: None,
        }
    }

    /// Headers of a program's own making: what
    /// [`ProvideHeaders`](crate::ProvideHeaders) is implemented with.
    ///
    /// # Errors
    /// [`Config`](ErrorKind::Config) for a token that cannot be sent.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), gce_auth::Error> {
    /// let headers = gce_auth::Headers::bearer("ya29.mine")?;
    /// assert_eq!(headers.authorization().unwrap(), "Bearer ya29.mine");
    /// # Ok(())
    /// # }
    /// ```
    pub fn bearer(token: &str) -> Result<Self, Error> {
        Ok(Self::new(Some(sendable(token)?), None))
    }

    /// The same headers, with this project billed (`x-goog-user-project`).
    #[must_use]
    pub fn with_user_project(mut self, project: HeaderValue) -> Self {
        self.user_project = Some(Arc::new(project));
        self
    }

    /// What stands for these headers when asking whether they have changed.
    #[must_use]
    pub fn tag(&self) -> HeadersTag {
        HeadersTag(self.clone())
    }

    /// The `authorization` value, marked as sensitive; `None` only for
    /// anonymous credentials.
    #[must_use]
    pub fn authorization(&self) -> Option<&HeaderValue> {
        self.bearer.as_ref().map(BearerValue::header)
    }

    /// Name and value of each header, `authorization` first.
    pub fn iter(&self) -> impl Iterator<Item = (HeaderName, &HeaderValue)> {
        let authorization = self.authorization().map(|value| (AUTHORIZATION, value));
        let user_project = self.user_project.as_deref();
        let locations = self.locations.as_deref();
        authorization
            .into_iter()
            .chain(user_project.map(|value| (X_GOOG_USER_PROJECT, value)))
            .chain(locations.map(|value| (X_ALLOWED_LOCATIONS, value)))
    }

    /// Inserts every header into `map`, in place of what had the same name.
    pub fn apply_to(&self, map: &mut HeaderMap) {
        for (name, value) in self.iter() {
            map.insert(name, value.clone());
        }
    }

    /// A copy that shares no buffer and no reference count with this one.
    pub(crate) fn detached(&self) -> Self {
        let copy = |value: &Arc<HeaderValue>| Arc::new(detached(value));
        Self {
            bearer: self.bearer.as_ref().map(BearerValue::detached),
            user_project: self.user_project.as_ref().map(copy),
            locations: self.locations.as_ref().map(copy),
        }
    }
}

/// A token as a header value.
pub(crate) fn sendable(token: &str) -> Result<BearerValue, Error> {
    BearerValue::new(token).ok_or_else(|| {
        Error::new(
            ErrorKind::Config,
            "a token is made of visible ASCII, without spaces",
        )
    })
}

impl From<Headers> for HeaderMap {
    fn from(headers: Headers) -> Self {
        let mut map = Self::with_capacity(3);
        headers.apply_to(&mut map);
        map
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.iter().map(|(name, _)| name))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers() -> Headers {
        Headers::new(
            BearerValue::new("ya29.secret"),
            Some(Arc::new(HeaderValue::from_static("billing"))),
        )
    }

    #[test]
    fn applying_replaces_what_was_there() {
        let mut map = HeaderMap::new();
        map.append(AUTHORIZATION, HeaderValue::from_static("old"));
        map.append(AUTHORIZATION, HeaderValue::from_static("older"));
        headers().apply_to(&mut map);
        assert_eq!(map.get_all(AUTHORIZATION).iter().count(), 1);
        assert_eq!(map[AUTHORIZATION], "Bearer ya29.secret");
        assert_eq!(map["x-goog-user-project"], "billing");
        assert_eq!(HeaderMap::from(headers()), map);
    }

    #[test]
    fn debug_names_headers_and_nothing_else() {
        let text = format!("{:?}", headers());
        assert!(
            text.contains("authorization") && !text.contains("secret"),
            "{text}"
        );
    }

    #[test]
    fn a_tag_is_equal_as_long_as_the_headers_are() {
        assert_eq!(headers().tag(), headers().detached().tag());
        let billed = Headers::bearer("ya29.secret").unwrap();
        assert_ne!(billed.tag(), headers().tag());
        let same = billed.with_user_project(HeaderValue::from_static("billing"));
        assert_eq!(same.tag(), headers().tag());
        assert!(!format!("{:?}", headers().tag()).contains("secret"));
        assert!(Headers::bearer("a b").is_err());
    }

    #[test]
    fn a_detached_copy_is_equal() {
        assert_eq!(headers().detached(), headers());
        assert!(headers().detached().authorization().unwrap().is_sensitive());
    }
}
