//! The regional access boundary of an account: looked up beside the requests
//! that carry it, and never in their way.
//!
//! It is no user of `refresh::Cache`, as what google-auth does with a boundary
//! (`_regional_access_boundary_utils`) is none of what a cache promises. An
//! answer that there is no boundary holds for 6 h, and is asked for again with
//! the next request all the same. A failure drops a boundary that has expired,
//! and keeps one that a program set without an end. A copy begins with the value
//! and the pause of its original, and then goes its own way. The caller that
//! waits makes one attempt of 3 s; the one in the background makes six within
//! 130 s, with the token of the very credential that it is for.

use std::{
    fmt,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use http::HeaderValue;

use crate::{
    task::{
        per_process::PerProcess,
        sync::{Condvar, Mutex, lock, notify_one, wait_until},
    },
    values::{
        headers::ExtraHeaders,
        token::{Now, Validity},
    },
};

/// How long a boundary holds.
const LIFETIME: Duration = Duration::from_secs(6 * 3600);
/// It is looked up again this long before it ends.
const EARLY: Duration = Duration::from_secs(3600);
/// The pause after a failed look-up; doubles up to `LONGEST_PAUSE`.
const FIRST_PAUSE: Duration = Duration::from_secs(15 * 60);
const LONGEST_PAUSE: Duration = Duration::from_secs(6 * 3600);

/// What is known of the boundary of one credential.
#[derive(Default)]
pub(crate) struct Boundary {
    /// The quota project, which is sent with it.
    user_project: Option<HeaderValue>,
    data: RwLock<Data>,
    /// The process in which a look-up is queued or runs; 0 where none is.
    pub(super) running: AtomicU32,
    pub(super) blocking: AtomicBool,
    /// Held during a look-up that callers wait for, so that one of them asks.
    pub(super) asking: PerProcess<Asking>,
    /// Whether the account is of a kind that has none.
    pub(super) pointless: AtomicBool,
}

/// What one caller at a time does; the others wait as long as they may.
pub(super) struct Asking {
    taken: Mutex<bool>,
    free: Condvar,
}

impl Default for Asking {
    fn default() -> Self {
        Self {
            taken: Mutex::new(false),
            free: Condvar::new(),
        }
    }
}

impl Asking {
    /// Returns the caller's turn, if it comes within `limit`.
    pub(super) fn turn(&self, limit: Duration) -> Option<Turn<'_>> {
        let taken = lock(&self.taken);
        let mut taken = wait_until(&self.free, &self.taken, taken, limit, |taken| !taken);
        if *taken {
            return None;
        }
        *taken = true;
        Some(Turn(self))
    }
}

/// A caller's turn, until it is dropped.
pub(super) struct Turn<'a>(&'a Asking);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        *lock(&self.0.taken) = false;
        notify_one(&self.0.free);
    }
}

#[derive(Clone)]
pub(super) struct Data {
    /// The boundary, and what is sent with it: whole, so that headers share it.
    extra: Option<Arc<ExtraHeaders>>,
    pub(super) validity: Option<Validity>,
    paused_until: Option<Duration>,
    pause: Duration,
}

impl Default for Data {
    fn default() -> Self {
        Self {
            extra: None,
            validity: None,
            paused_until: None,
            pause: FIRST_PAUSE,
        }
    }
}

impl Data {
    pub(super) fn encoded(&self) -> Option<&HeaderValue> {
        self.extra.as_ref()?.locations.as_ref()
    }

    fn holds(&self, margin: Duration, now: Now) -> bool {
        let encoded = self.encoded().is_some_and(|value| !value.is_empty());
        let validity = self.validity.as_ref();
        encoded && validity.is_some_and(|validity| !validity.ends_within(margin, now))
    }

    /// After a look-up that found nothing.
    fn failed(mut self, now: Now) -> Self {
        self.paused_until = Some(now.boot.saturating_add(self.pause));
        self.pause = self.pause.saturating_mul(2).min(LONGEST_PAUSE);
        let ends = self.validity.as_ref().and_then(Validity::ends);
        if ends.is_some_and(|ends| now.wall > ends.wall || now.boot > ends.boot) {
            self.extra = None;
            self.validity = None;
        }
        self
    }
}

impl Boundary {
    /// Of a credential that has this quota project.
    pub(super) fn beside(user_project: Option<HeaderValue>) -> Self {
        Self {
            user_project,
            ..Self::default()
        }
    }

    pub(super) fn data(&self) -> Data {
        let data = self.data.read();
        data.unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, change: impl FnOnce(Data) -> Data) {
        let mut data = self.data.write().unwrap_or_else(PoisonError::into_inner);
        *data = change(std::mem::take(&mut data));
    }

    fn with(&self, encoded: Option<HeaderValue>) -> Option<Arc<ExtraHeaders>> {
        let locations = Some(encoded?);
        Some(Arc::new(ExtraHeaders {
            user_project: self.user_project.clone(),
            locations,
        }))
    }

    /// What is sent besides the token, while the boundary holds.
    pub(super) fn extra(&self, now: Now) -> Option<Arc<ExtraHeaders>> {
        let data = self.data.read().unwrap_or_else(PoisonError::into_inner);
        let extra = data.extra.as_ref()?;
        data.holds(Duration::ZERO, now).then(|| Arc::clone(extra))
    }

    /// The header, while the boundary holds.
    pub(super) fn header(&self, now: Now) -> Option<HeaderValue> {
        self.extra(now)?.locations.clone()
    }

    /// Starts with a boundary that is known from elsewhere.
    pub(super) fn preset(&self, encoded: Option<HeaderValue>, validity: Option<Validity>) {
        let known = encoded.as_ref().is_some_and(|value| !value.is_empty());
        self.set(|_| Data {
            extra: self.with(encoded),
            validity: validity.filter(|_| known),
            ..Data::default()
        });
    }

    /// Takes over what is known to `other`, once.
    pub(super) fn start_as(&self, other: &Self) {
        let theirs = other.data();
        let extra = self.with(theirs.encoded().cloned());
        self.set(|_| Data { extra, ..theirs });
        let blocking = other.blocking.load(Ordering::Relaxed);
        self.blocking.store(blocking, Ordering::Relaxed);
    }

    pub(super) fn is_due(&self, now: Now) -> bool {
        if self.pointless.load(Ordering::Relaxed) {
            return false;
        }
        let data = self.data.read().unwrap_or_else(PoisonError::into_inner);
        let paused = data.paused_until.is_some_and(|until| now.boot < until);
        !paused && !data.holds(EARLY, now)
    }

    #[expect(
        clippy::option_option,
        reason = "found or not, and there is one or not"
    )]
    pub(super) fn settle(&self, found: Option<Option<HeaderValue>>, now: Now) {
        self.set(|data| match found {
            Some(encoded) => Data {
                extra: self.with(encoded),
                validity: Some(Validity::lasting(now, LIFETIME)),
                ..Data::default()
            },
            None => data.failed(now),
        });
    }
}

impl fmt::Debug for Boundary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Boundary")
            .field("encoded", &self.data().encoded())
            .finish_non_exhaustive()
    }
}
