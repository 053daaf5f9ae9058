//! Tokens, and how long they hold.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

use http::HeaderValue;

use crate::values::secret::BearerValue;

/// A moment on both clocks that matter for a token.
///
/// `wall` is the time since the Unix epoch; `boot` is the time since an
/// unspecified moment before the process began, and goes on while the machine
/// is suspended (`CLOCK_BOOTTIME` on Linux).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Now {
    /// Time since the Unix epoch, as the machine believes it to be.
    pub wall: Duration,
    /// Time that never jumps, and counts suspended time.
    pub boot: Duration,
}

impl Now {
    /// Returns a moment, from its two readings.
    #[must_use]
    pub const fn new(wall: Duration, boot: Duration) -> Self {
        Self { wall, boot }
    }

    /// This moment less `by`, on both clocks.
    pub(crate) fn earlier(self, by: Duration) -> Self {
        Self::new(self.wall.saturating_sub(by), self.boot.saturating_sub(by))
    }

    /// Returns the wall clock reading as a [`SystemTime`].
    #[must_use]
    pub fn system_time(self) -> SystemTime {
        SystemTime::UNIX_EPOCH + self.wall
    }
}

/// The same moment, as two numbers of nanoseconds: what is compared at each
/// call. What a number cannot hold, 584 years, is forever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moment {
    pub(crate) wall: u64,
    pub(crate) boot: u64,
}

impl Moment {
    /// Never.
    pub(crate) const NEVER: Self = Self {
        wall: u64::MAX,
        boot: u64::MAX,
    };

    /// Before on both clocks: whichever is worse decides.
    #[inline]
    pub(crate) fn is_before(self, other: Self) -> bool {
        self.wall < other.wall && self.boot < other.boot
    }
}

impl From<Now> for Moment {
    fn from(now: Now) -> Self {
        let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        Self {
            wall: nanos(now.wall),
            boot: nanos(now.boot),
        }
    }
}

impl From<Moment> for Now {
    fn from(moment: Moment) -> Self {
        Self::new(
            Duration::from_nanos(moment.wall),
            Duration::from_nanos(moment.boot),
        )
    }
}

/// Until when something holds: on the wall clock and on the boot clock,
/// whichever ends first. Without an end it holds forever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Validity {
    ends: Option<Now>,
    lifetime: Duration,
}

/// Longer lifetimes than this are taken for this: no expiry is ever "never"
/// because a number was absurd.
const LONGEST: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

impl Validity {
    /// Holds forever.
    pub(crate) const ENDLESS: Self = Self {
        ends: None,
        lifetime: Duration::MAX,
    };

    /// Holds for `lifetime` from `start`.
    pub(crate) fn lasting(start: Now, lifetime: Duration) -> Self {
        let lifetime = lifetime.min(LONGEST);
        Self {
            ends: Some(Now::new(
                start.wall.saturating_add(lifetime),
                start.boot.saturating_add(lifetime),
            )),
            lifetime,
        }
    }

    /// Holds until `wall`, seen from `start`; ended before, if `wall` has passed.
    pub(crate) fn until(start: Now, wall: Duration) -> Self {
        let mut validity = Self::lasting(start, wall.saturating_sub(start.wall));
        if let Some(ends) = &mut validity.ends {
            ends.wall = ends.wall.min(wall);
        }
        validity
    }

    /// The same, but no longer than `lifetime` from `start` by the boot clock.
    pub(crate) fn at_most(mut self, start: Now, lifetime: Duration) -> Self {
        if let Some(ends) = &mut self.ends {
            ends.boot = ends.boot.min(start.boot.saturating_add(lifetime));
        }
        self.lifetime = self.lifetime.min(lifetime);
        self
    }

    /// The same, but ended where `other` has: on each clock the earlier end.
    #[cfg(feature = "iam")]
    pub(crate) fn within(mut self, other: Self) -> Self {
        self.ends = match (self.ends, other.ends) {
            (Some(one), Some(two)) => {
                Some(Now::new(one.wall.min(two.wall), one.boot.min(two.boot)))
            }
            (one, two) => one.or(two),
        };
        self.lifetime = self.lifetime.min(other.lifetime);
        self
    }

    pub(crate) fn ends(&self) -> Option<Now> {
        self.ends
    }

    /// Whether it ends within `margin` of `now`, or has ended: on either clock.
    pub(crate) fn ends_within(&self, margin: Duration, now: Now) -> bool {
        self.ends.is_some_and(|ends| {
            now.wall.saturating_add(margin) >= ends.wall
                || now.boot.saturating_add(margin) >= ends.boot
        })
    }

    /// What is left at `now`: by the wall clock or the boot clock, whichever says
    /// less.
    pub(crate) fn left(&self, now: Now) -> Option<Duration> {
        let ends = self.ends?;
        let wall = ends.wall.saturating_sub(now.wall);
        Some(wall.min(ends.boot.saturating_sub(now.boot)))
    }

    pub(crate) fn lifetime(&self) -> Duration {
        self.lifetime
    }
}

/// What the engine keeps: a bearer token and its validity.
///
/// A header value is five words, and its clone a call through a table; this is
/// one word, and counted in place.
#[derive(Clone)]
pub(crate) struct Bearer(Arc<Held>);

struct Held {
    value: BearerValue,
    validity: Validity,
}

impl Bearer {
    pub(crate) fn new(value: BearerValue, validity: Validity) -> Self {
        Self(Arc::new(Held { value, validity }))
    }

    #[inline]
    pub(crate) fn value(&self) -> &BearerValue {
        &self.0.value
    }

    pub(crate) fn validity(&self) -> &Validity {
        &self.0.validity
    }

    /// Whether it stands for "no token": what anonymous credentials hold.
    #[inline]
    pub(crate) fn is_nothing(&self) -> bool {
        self.0.value.header().is_empty()
    }

    /// The same token, with another end.
    #[cfg(any(test, feature = "test-util"))]
    pub(crate) fn lasting(&self, validity: Validity) -> Self {
        Self::new(self.0.value.clone(), validity)
    }

    /// The same token in a buffer, and with a reference count, of its own.
    pub(crate) fn detached(&self) -> Self {
        Self::new(self.0.value.detached(), self.0.validity)
    }

    /// Whether it is the same token, whatever its lifetime.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0.value == other.0.value
    }
}

impl PartialEq for Bearer {
    fn eq(&self, other: &Self) -> bool {
        self.is_same(other) && self.0.validity == other.0.validity
    }
}

impl fmt::Debug for Bearer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bearer")
            .field("token", &"[redacted]")
            .field("validity", self.validity())
            .finish()
    }
}

/// An OAuth 2.0 access token, and when it expires.
///
/// `Debug` shows no part of the token and there is no `Display`: reading it is
/// always the explicit [`secret`](Self::secret). The buffer is shared by
/// clones and wiped with the last of them.
///
/// # Examples
/// ```
/// # use gce_auth::{AccessToken, Error};
/// fn report(token: &AccessToken) -> String {
///     format!("{token:?} expires at {:?}", token.expires_at())
/// }
/// ```
#[derive(Clone, PartialEq)]
pub struct AccessToken(pub(crate) Bearer);

impl AccessToken {
    /// Returns the token itself, as it follows `Bearer ` in an authorization header.
    #[must_use]
    pub fn secret(&self) -> &str {
        self.0.value().token()
    }

    /// Returns the whole `authorization` header value, marked as sensitive.
    #[must_use]
    pub fn authorization(&self) -> HeaderValue {
        self.0.value().header().clone()
    }

    /// Returns when the token expires by the wall clock; `None` if it never does.
    ///
    /// Counted from before the request for it was sent, so it errs early.
    #[must_use]
    pub fn expires_at(&self) -> Option<SystemTime> {
        self.0.validity().ends().map(Now::system_time)
    }

    /// Returns how long the token is valid from `now` on: by the wall clock or
    /// the boot clock, whichever says less. `None`: it never expires. For programs
    /// that hand the token on with an `expires_in`.
    #[must_use]
    pub fn valid_for(&self, now: Now) -> Option<Duration> {
        self.0.validity().left(now)
    }
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessToken")
            .field("secret", &"[redacted]")
            .field("expires_at", &self.expires_at())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(wall: u64, boot: u64) -> Now {
        Now::new(Duration::from_secs(wall), Duration::from_secs(boot))
    }

    #[test]
    fn a_lifetime_ends_on_both_clocks() {
        let validity = Validity::lasting(at(1000, 10), Duration::from_secs(100));
        assert_eq!(validity.ends(), Some(at(1100, 110)));
        assert_eq!(
            Validity::until(at(1000, 10), Duration::from_secs(1100)),
            validity
        );
    }

    #[test]
    fn what_is_left_counts_down_on_whichever_clock_is_worse() {
        let validity = Validity::lasting(at(1000, 10), Duration::from_secs(100));
        let left = |wall, boot| validity.left(at(wall, boot)).unwrap().as_secs();
        assert_eq!(
            [left(1000, 10), left(1030, 20), left(1005, 90)],
            [100, 70, 20]
        );
        assert_eq!([left(1200, 20), left(900, 110)], [0, 0]);
        assert_eq!(Validity::ENDLESS.left(at(1, 1)), None);
    }

    #[test]
    fn a_moment_is_before_another_on_both_clocks_or_not_at_all() {
        let moment = |wall, boot| Moment::from(at(wall, boot));
        assert!(moment(1, 1).is_before(moment(2, 2)));
        for (wall, boot) in [(1, 2), (2, 1), (1, 1), (1, 3), (0, 2)] {
            assert!(!moment(1, 1).is_before(moment(wall, boot)), "{wall} {boot}");
        }
    }

    #[test]
    fn an_access_token_says_how_long_it_is_valid_and_not_what_it_is() {
        let token = |text: &str, seconds| {
            let validity = Validity::lasting(at(1000, 10), Duration::from_secs(seconds));
            AccessToken(Bearer::new(BearerValue::new(text).unwrap(), validity))
        };
        let one = token("ya29.one", 100);
        let left = one.valid_for(at(1030, 20));
        assert_eq!(left, Some(Duration::from_secs(70)));
        assert_eq!(one, token("ya29.one", 100));
        assert_ne!(one, token("ya29.two", 100));
        assert_ne!(one, token("ya29.one", 101), "another lifetime");
        let endless = Bearer::new(BearerValue::new("t").unwrap(), Validity::ENDLESS);
        assert_eq!(AccessToken(endless).valid_for(at(1, 1)), None);
        for shown in [format!("{one:?}"), format!("{:?}", one.0)] {
            assert!(shown.contains("[redacted]"), "{shown}");
            assert!(!shown.contains("ya29"), "{shown}");
        }
        let shown = format!("{:?}", one.0.value());
        assert!(
            shown.contains("[redacted]") && !shown.contains("ya29"),
            "{shown}"
        );
    }

    #[test]
    fn the_end_is_near_on_whichever_clock_is_worse() {
        let validity = Validity::lasting(at(1000, 10), Duration::from_secs(100));
        let margin = Duration::from_secs(30);
        assert!(!validity.ends_within(margin, at(1069, 79)));
        assert!(validity.ends_within(margin, at(1070, 10)));
        assert!(validity.ends_within(margin, at(0, 80)));
        assert!(validity.ends_within(Duration::ZERO, at(1100, 10)));
        assert!(!Validity::ENDLESS.ends_within(Duration::MAX, at(1, 1)));
    }

    #[cfg(feature = "iam")]
    #[test]
    fn the_earlier_end_on_each_clock_is_that_of_both() {
        let one = Validity::lasting(at(1000, 10), Duration::from_secs(100));
        let two = Validity::lasting(at(900, 20), Duration::from_secs(150));
        assert_eq!(one.within(two).ends(), Some(at(1050, 110)));
        assert_eq!(one.within(two).lifetime(), Duration::from_secs(100));
        assert_eq!(one.within(Validity::ENDLESS), one);
        assert_eq!(Validity::ENDLESS.within(two), two);
    }

    #[test]
    fn absurd_lifetimes_are_clamped_not_eternal() {
        let validity = Validity::lasting(at(1000, 10), Duration::MAX);
        let ends = validity.ends().expect("an end");
        assert_eq!(ends.wall, Duration::from_secs(1000) + LONGEST);
    }
}
