//! `Retry-After`: how long a server asks to wait (RFC 9110, 10.2.3).

use std::time::Duration;

use http::{
    HeaderMap,
    header::{DATE, RETRY_AFTER},
};

use crate::wire::date;

/// How long an answer with these headers asks to wait. A date in it is held
/// against the server's own clock, which `Date` shows, or else against `now`, a
/// Unix time.
pub(crate) fn asked_for(headers: &HeaderMap, now: Option<Duration>) -> Option<Duration> {
    let text = |name| headers.get(name)?.to_str().ok();
    let its_now = text(DATE).and_then(date::read);
    retry_after(text(RETRY_AFTER)?, its_now.or(now))
}

/// Reads `Retry-After` (RFC 9110, 10.2.3): seconds, or a date, which is that
/// far from `now`. What is over by then asks for no wait.
pub(crate) fn retry_after(value: &str, now: Option<Duration>) -> Option<Duration> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        // Digits that are too many are a time that is too long, not no time.
        return Some(Duration::from_secs(value.parse().unwrap_or(u64::MAX)));
    }
    Some(date::read(value)?.saturating_sub(now?))
}
