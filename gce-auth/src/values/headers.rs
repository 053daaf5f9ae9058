//! The headers that a request to a Google API carries.

use std::fmt;

use http::{HeaderMap, HeaderName, HeaderValue, header::AUTHORIZATION};

use crate::values::secret::{BearerValue, detached};

/// `x-goog-user-project`: the project that is billed and whose quota is used.
pub(crate) const X_GOOG_USER_PROJECT: HeaderName = HeaderName::from_static("x-goog-user-project");

/// The headers to put on a request, ready made.
///
/// `authorization` (but for anonymous credentials), and `x-goog-user-project`
/// where a quota project is set. Cloning and applying share the bytes; nothing is allocated where the
/// map has room. `Debug` shows names only.
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
    pub(crate) user_project: Option<HeaderValue>,
}

impl Headers {
    pub(crate) fn new(bearer: Option<BearerValue>, user_project: Option<HeaderValue>) -> Self {
        Self {
            bearer,
            user_project,
        }
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
        let user_project = self.user_project.as_ref();
        authorization
            .into_iter()
            .chain(user_project.map(|value| (X_GOOG_USER_PROJECT, value)))
    }

    /// Inserts every header into `map`, in place of what had the same name.
    pub fn apply_to(&self, map: &mut HeaderMap) {
        for (name, value) in self.iter() {
            map.insert(name, value.clone());
        }
    }

    /// A copy that shares no buffer and no reference count with this one.
    pub(crate) fn detached(&self) -> Self {
        Self {
            bearer: self.bearer.as_ref().map(BearerValue::detached),
            user_project: self.user_project.as_ref().map(detached),
        }
    }
}

impl From<Headers> for HeaderMap {
    fn from(headers: Headers) -> Self {
        let mut map = Self::with_capacity(2);
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
            Some(HeaderValue::from_static("billing")),
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
    fn a_detached_copy_is_equal() {
        assert_eq!(headers().detached(), headers());
        assert!(headers().detached().authorization().unwrap().is_sensitive());
    }
}
