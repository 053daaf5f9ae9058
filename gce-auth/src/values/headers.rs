//! The headers that a request to a Google API carries.

use std::{array, borrow::Cow, fmt, iter::Flatten, sync::Arc};

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
#[derive(Clone)]
pub struct Headers {
    // Two words, of which the first is never null: so these, an `Option` and a
    // `Result` of them come back in registers.
    bearer: Bearer,
    extra: Option<Arc<ExtraHeaders>>,
}

/// The headers besides `authorization`: at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ExtraHeaders {
    pub(crate) user_project: Option<HeaderValue>,
    pub(crate) locations: Option<HeaderValue>,
}

impl ExtraHeaders {
    /// What a credential with this quota project sends.
    pub(crate) fn of(user_project: Option<&HeaderValue>) -> Option<Arc<Self>> {
        let user_project = Some(user_project?.clone());
        Some(Arc::new(Self {
            user_project,
            locations: None,
        }))
    }

    fn detached(&self) -> Self {
        Self {
            user_project: self.user_project.as_ref().map(detached),
            locations: self.locations.as_ref().map(detached),
        }
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
    #[inline]
    pub(crate) fn new(bearer: Bearer, extra: Option<Arc<ExtraHeaders>>) -> Self {
        Self { bearer, extra }
    }

    /// Returns these headers with others besides `authorization`.
    #[cfg(feature = "iam")]
    pub(crate) fn with_extra(self, extra: Arc<ExtraHeaders>) -> Self {
        Self {
            extra: Some(extra),
            ..self
        }
    }

    /// Whether they hold this token.
    pub(crate) fn hold(&self, bearer: &Bearer) -> bool {
        self.bearer.is_same(bearer)
    }

    /// The token in them. Not to be asked of anonymous credentials.
    #[inline]
    pub(crate) fn into_bearer(shown: Cow<'_, Self>) -> Bearer {
        match shown {
            Cow::Borrowed(headers) => headers.bearer.clone(),
            Cow::Owned(headers) => headers.bearer,
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
        Ok(Self::new(sendable(token)?, None))
    }

    /// Returns the same headers, with this project billed (`x-goog-user-project`).
    #[must_use]
    pub fn with_quota_project(mut self, project: HeaderValue) -> Self {
        let locations = self
            .extra
            .as_ref()
            .and_then(|extra| extra.locations.clone());
        self.extra = Some(Arc::new(ExtraHeaders {
            user_project: Some(project),
            locations,
        }));
        self
    }

    /// Returns what stands for these headers when asking whether they have changed.
    #[must_use]
    pub fn tag(&self) -> HeadersTag {
        HeadersTag(self.clone())
    }

    /// Returns the `authorization` value, marked as sensitive; `None` only for
    /// anonymous credentials.
    #[inline]
    #[must_use]
    pub fn authorization(&self) -> Option<&HeaderValue> {
        let header = self.bearer.value().header();
        // No token is empty; what stands in its place for anonymous callers is.
        (!header.is_empty()).then_some(header)
    }

    /// Returns name and value of each header, `authorization` first.
    pub fn iter(&self) -> impl Iterator<Item = (HeaderName, &HeaderValue)> {
        let authorization = self.authorization().map(|value| (AUTHORIZATION, value));
        let extra = self.extra.as_deref();
        let user_project = extra.and_then(|extra| extra.user_project.as_ref());
        let locations = extra.and_then(|extra| extra.locations.as_ref());
        authorization
            .into_iter()
            .chain(user_project.map(|value| (X_GOOG_USER_PROJECT, value)))
            .chain(locations.map(|value| (X_ALLOWED_LOCATIONS, value)))
    }

    /// Inserts every header into `map`, in place of what had the same name.
    /// Removes `x-goog-user-project` and `x-allowed-locations` that these
    /// headers do not set: they would be another credential's.
    pub fn apply_to(&self, map: &mut HeaderMap) {
        map.remove(X_GOOG_USER_PROJECT);
        map.remove(X_ALLOWED_LOCATIONS);
        self.add_to(map);
    }

    /// Inserts every header into `map`, in place of what had the same name;
    /// keeps the others.
    pub(crate) fn add_to(&self, map: &mut HeaderMap) {
        for (name, value) in self.iter() {
            map.insert(name, value.clone());
        }
    }

    /// A copy that shares no buffer and no reference count with this one.
    pub(crate) fn detached(&self) -> Self {
        let extra = self.extra.as_ref();
        Self {
            bearer: self.bearer.detached(),
            extra: extra.map(|extra| Arc::new(extra.detached())),
        }
    }
}

impl PartialEq for Headers {
    fn eq(&self, other: &Self) -> bool {
        self.hold(&other.bearer) && self.extra == other.extra
    }
}

/// A token of a program's own, which says nothing of its end.
pub(crate) fn sendable(token: &str) -> Result<Bearer, Error> {
    let value = BearerValue::new(token).ok_or_else(|| {
        Error::new(
            ErrorKind::Config,
            "a token is made of visible ASCII, without spaces",
        )
    })?;
    Ok(Bearer::new(value, Validity::ENDLESS))
}

/// A quota project as a header value.
pub(crate) fn quota_project(id: &str) -> Result<HeaderValue, Error> {
    let refuse = || {
        Error::new(ErrorKind::Config, format!("{id:?} is not a project id"))
            .with_hint("a quota project is named by its id or its number")
    };
    if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(refuse());
    }
    HeaderValue::from_str(id).map_err(|_| refuse())
}

/// Name and value of each header, `authorization` first.
impl IntoIterator for Headers {
    type Item = (HeaderName, HeaderValue);
    type IntoIter = HeadersIntoIter;

    fn into_iter(self) -> HeadersIntoIter {
        let extra = self.extra.as_deref();
        let user_project = extra.and_then(|extra| extra.user_project.clone());
        let locations = extra.and_then(|extra| extra.locations.clone());
        let named = |name, value: Option<HeaderValue>| value.map(|value| (name, value));
        let all = [
            named(AUTHORIZATION, self.authorization().cloned()),
            named(X_GOOG_USER_PROJECT, user_project),
            named(X_ALLOWED_LOCATIONS, locations),
        ];
        HeadersIntoIter(all.into_iter().flatten())
    }
}

/// The headers of a request, by value: see [`Headers`].
#[derive(Clone)]
pub struct HeadersIntoIter(Flatten<array::IntoIter<Option<(HeaderName, HeaderValue)>, 3>>);

impl Iterator for HeadersIntoIter {
    type Item = (HeaderName, HeaderValue);

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next()
    }
}

impl fmt::Debug for HeadersIntoIter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HeadersIntoIter")
    }
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
        let project = HeaderValue::from_static("billing");
        Headers::new(
            sendable("ya29.secret").unwrap(),
            ExtraHeaders::of(Some(&project)),
        )
    }

    #[test]
    fn a_quota_project_has_a_name_of_plain_letters() {
        assert_eq!(quota_project("p-1").unwrap(), "p-1");
        for bad in ["", " ", "a b", "é", "a\n"] {
            let error = quota_project(bad).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config, "{bad:?}");
        }
    }

    #[test]
    fn debug_of_what_headers_become_shows_no_token() {
        let shown = format!("{:?} {:?}", HeadersTag(headers()), headers().into_iter());
        assert!(
            shown.contains("HeadersTag") && shown.contains("HeadersIntoIter"),
            "{shown}"
        );
        assert!(!shown.contains("ya29"), "{shown}");
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
        let collected: HeaderMap = headers().into_iter().collect();
        assert_eq!(collected, map);
    }

    #[test]
    fn what_another_credential_set_is_removed() {
        let mut map = HeaderMap::from(headers());
        map.insert(X_ALLOWED_LOCATIONS, HeaderValue::from_static("0xA"));
        let mut kept = map.clone();
        Headers::bearer("other").unwrap().apply_to(&mut map);
        assert_eq!(map.len(), 1);
        assert_eq!(map[AUTHORIZATION], "Bearer other");
        Headers::bearer("other").unwrap().add_to(&mut kept);
        assert_eq!(kept.len(), 3);
        assert_eq!(kept["x-goog-user-project"], "billing");
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
        let same = billed.with_quota_project(HeaderValue::from_static("billing"));
        assert_eq!(same.tag(), headers().tag());
        assert!(!format!("{:?}", headers().tag()).contains("secret"));
        assert!(Headers::bearer("a b").is_err());
    }

    #[test]
    fn they_are_two_words_also_where_there_may_be_none() {
        let words = 2 * size_of::<usize>();
        assert_eq!(size_of::<Option<Headers>>(), words);
        assert_eq!(size_of::<Result<Headers, Error>>(), words);
        let nothing = Bearer::new(BearerValue::nothing(), Validity::ENDLESS);
        let nobody = Headers::new(nothing, None);
        assert_eq!(nobody.iter().count(), 0);
        assert!(!nobody.hold(&sendable("t").unwrap()));
    }

    #[test]
    fn a_detached_copy_is_equal() {
        assert_eq!(headers().detached(), headers());
        assert!(headers().detached().authorization().unwrap().is_sensitive());
    }
}
