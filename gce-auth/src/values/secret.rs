//! Bytes that wipe themselves, and header values over them.

use std::fmt;

use bytes::Bytes;
use http::HeaderValue;
use zeroize::Zeroizing;

/// `Bearer `, what stands before every token in the authorization header.
const BEARER: &[u8] = b"Bearer ";

/// An authorization header, `Bearer` and a token, in one wiped buffer.
///
/// The token is a part of the header value, so that it exists once. Clones
/// share the buffer; [`detached`](Self::detached) makes another.
#[derive(Clone, PartialEq)]
pub(crate) struct BearerValue(HeaderValue);

impl BearerValue {
    /// `None` where the token is empty or not made of visible ASCII alone.
    pub(crate) fn new(token: &str) -> Option<Self> {
        if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return None;
        }
        let mut buffer = Zeroizing::new(Vec::with_capacity(BEARER.len() + token.len()));
        buffer.extend_from_slice(BEARER);
        buffer.extend_from_slice(token.as_bytes());
        sensitive(Bytes::from_owner(Wiped(buffer))).map(Self)
    }

    /// In place of a header, where none is sent.
    #[cfg(any(test, feature = "test-util"))]
    pub(crate) fn nothing() -> Self {
        Self(HeaderValue::from_static(""))
    }

    pub(crate) fn header(&self) -> &HeaderValue {
        &self.0
    }

    pub(crate) fn token(&self) -> &str {
        // Visible ASCII was checked when the value was made.
        self.0
            .to_str()
            .ok()
            .and_then(|value| value.get(BEARER.len()..))
            .unwrap_or_default()
    }

    /// The same header in a buffer of its own.
    pub(crate) fn detached(&self) -> Self {
        Self(detached(&self.0))
    }
}

impl fmt::Debug for BearerValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Bearer [redacted]")
    }
}

/// A copy of a header value that shares nothing with it, wiped when dropped.
pub(crate) fn detached(value: &HeaderValue) -> HeaderValue {
    let copy = Wiped(Zeroizing::new(value.as_bytes().to_vec()));
    match HeaderValue::from_maybe_shared(Bytes::from_owner(copy)) {
        Ok(mut copy) => {
            copy.set_sensitive(value.is_sensitive());
            copy
        }
        // Not reached: the bytes come out of a header value.
        Err(_) => value.clone(),
    }
}

fn sensitive(bytes: Bytes) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_maybe_shared(bytes).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// A secret text: shared by clones, wiped with the last of them, shown by
/// nothing.
#[cfg(feature = "adc")]
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct SecretText(std::sync::Arc<Zeroizing<String>>);

#[cfg(feature = "adc")]
impl SecretText {
    pub(crate) fn new(text: &str) -> Self {
        Self(std::sync::Arc::new(Zeroizing::new(text.to_owned())))
    }

    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

#[cfg(feature = "adc")]
impl std::hash::Hash for SecretText {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.reveal().hash(state);
    }
}

#[cfg(feature = "adc")]
impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

struct Wiped(Zeroizing<Vec<u8>>);

impl AsRef<[u8]> for Wiped {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_is_a_part_of_the_header() {
        let value = BearerValue::new("ya29.abc").unwrap();
        assert_eq!(value.header().as_bytes(), b"Bearer ya29.abc");
        assert!(value.header().is_sensitive());
        assert_eq!(value.token(), "ya29.abc");
        assert_eq!(value.detached(), value);
        assert!(value.detached().header().is_sensitive());
    }

    #[test]
    fn what_cannot_be_sent_is_refused() {
        for token in ["", " ", "a b", "a\n", "a\r\nx: y", "\u{e9}", "a\0", "a\x7f"] {
            assert!(BearerValue::new(token).is_none(), "{token:?}");
        }
    }

    #[cfg(feature = "adc")]
    #[test]
    fn a_secret_text_is_shown_by_nothing() {
        let secret = SecretText::new("1//refresh");
        assert_eq!(format!("{secret:?}"), "[redacted]");
        assert_eq!(secret, SecretText::new("1//refresh"));
        assert_eq!(secret.reveal(), "1//refresh");
    }

    #[test]
    fn debug_shows_nothing() {
        let value = BearerValue::new("ya29.secret").unwrap();
        assert!(!format!("{value:?} {:?}", value.header()).contains("secret"));
    }
}
