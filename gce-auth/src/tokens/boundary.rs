//! The regional access boundary of an account: a value that is refreshed beside
//! the requests that carry it, and never in their way.
//!
//! What differs from a token is what google-auth does with a boundary
//! (`_regional_access_boundary_utils`): an answer that there is none is asked for
//! again with the next request, a failure drops a boundary that has expired, and
//! a copy begins with the value and the pause of its original, then goes its own
//! way.

use std::{
    sync::{
        Arc, LazyLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use http::HeaderValue;

use crate::{
    refresh::{
        policy::{Deadlines, Freshness, Policy},
        refreshes::{Known, Refreshes},
        slot::Entry,
        value::Value,
    },
    values::{
        headers::ExtraHeaders,
        token::{Now, Validity},
    },
};

/// How long a boundary holds.
const LIFETIME: Duration = Duration::from_secs(6 * 3600);
/// The pause after a failed look-up; doubles up to the longest.
const FIRST_PAUSE: Duration = Duration::from_secs(15 * 60);

static POLICY: LazyLock<Policy> = LazyLock::new(|| Policy {
    stale_margin: Duration::from_secs(3600),
    jitter: Duration::ZERO,
    skew: Duration::ZERO,
    gentle: Duration::ZERO,
    quiet: FIRST_PAUSE,
    first_backoff: FIRST_PAUSE,
    most_backoff: LIFETIME,
});

/// A boundary, or the answer that there is none.
#[derive(Clone)]
pub(super) struct Locations {
    /// The boundary, and what is sent with it: whole, so that headers share it.
    extra: Option<Arc<ExtraHeaders>>,
    pub(super) validity: Validity,
}

impl Locations {
    pub(super) fn encoded(&self) -> Option<&HeaderValue> {
        self.extra.as_ref()?.locations.as_ref()
    }

    fn has_ended(&self, now: Now) -> bool {
        let ends = self.validity.ends();
        ends.is_some_and(|ends| now.wall > ends.wall || now.boot > ends.boot)
    }
}

impl Value for Locations {
    fn validity(&self) -> Validity {
        self.validity
    }

    fn is_same(&self, other: &Self) -> bool {
        self.encoded() == other.encoded()
    }

    fn outlives_renewals() -> bool {
        false
    }

    fn waits_for_threads() -> bool {
        false
    }

    /// No boundary, and one without an end, is no good from the start.
    fn deadlines(&self, policy: &Policy, sample: f64) -> Deadlines {
        let is_known = self.encoded().is_some_and(|value| !value.is_empty());
        if is_known && self.validity.ends().is_some() {
            policy.deadlines(&self.validity, sample)
        } else {
            Deadlines::by_boot(Duration::ZERO, Duration::ZERO)
        }
    }
}

/// What is known of the boundary of one credential.
pub(crate) struct Boundary {
    /// The quota project, which is sent with it.
    user_project: Option<HeaderValue>,
    pub(super) refreshes: Refreshes<Locations>,
    blocking: AtomicBool,
}

impl Boundary {
    /// Of a credential that has this quota project.
    pub(super) fn beside(user_project: Option<HeaderValue>) -> Self {
        Self {
            user_project,
            refreshes: Refreshes::alone(&POLICY),
            blocking: AtomicBool::new(false),
        }
    }

    /// What was looked up last, also when it has expired.
    pub(super) fn held(&self) -> Option<Locations> {
        Some(self.refreshes.shared.slot.read()?.value)
    }

    /// The boundary that was looked up just now, or none.
    pub(super) fn found(&self, encoded: Option<HeaderValue>, now: Now) -> Locations {
        self.locations(encoded, Validity::lasting(now, LIFETIME))
    }

    /// Takes note, before it is settled, of a look-up that found nothing.
    pub(super) fn failed(&self, now: Now) {
        let slot = &self.refreshes.shared.slot;
        slot.change(|entry| entry.take_if(|held| held.value.has_ended(now)));
    }

    fn locations(&self, encoded: Option<HeaderValue>, validity: Validity) -> Locations {
        let extra = encoded.map(|locations| {
            Arc::new(ExtraHeaders {
                user_project: self.user_project.clone(),
                locations: Some(locations),
            })
        });
        Locations { extra, validity }
    }

    /// What is sent besides the token, while the boundary holds.
    pub(super) fn extra(&self, now: Now) -> Option<Arc<ExtraHeaders>> {
        let slot = &self.refreshes.shared.slot;
        slot.look(|held, _| {
            let holds = held.deadlines.judge(now.into()) > Freshness::Invalid;
            held.value.extra.clone().filter(|_| holds)
        })
    }

    /// The header, while the boundary holds.
    pub(super) fn header(&self, now: Now) -> Option<HeaderValue> {
        self.extra(now)?.locations.clone()
    }

    /// Starts with a boundary that is known from elsewhere.
    pub(super) fn preset(&self, encoded: Option<HeaderValue>, validity: Option<Validity>) {
        let is_known = encoded.as_ref().is_some_and(|value| !value.is_empty());
        let validity = validity.filter(|_| is_known).unwrap_or(Validity::ENDLESS);
        let preset = self.locations(encoded, validity);
        self.refreshes.begin_with(Some(preset), &Known::default());
    }

    /// Takes over what is known to `other`, once.
    pub(super) fn start_as(&self, other: &Self) {
        let own = |theirs: Locations| self.locations(theirs.encoded().cloned(), theirs.validity);
        let (held, known) = (other.held().map(own), other.refreshes.known());
        self.refreshes.begin_with(held, &known);
        self.blocking.store(other.is_blocking(), Ordering::Relaxed);
    }

    /// Whether requests wait for a look-up that is due.
    pub(super) fn is_blocking(&self) -> bool {
        self.blocking.load(Ordering::Relaxed)
    }

    pub(super) fn block(&self) {
        self.blocking.store(true, Ordering::Relaxed);
    }

    /// Whether a request is to wait: for the look-up that is due or under way.
    pub(super) fn is_waited_for(&self, now: Now) -> bool {
        self.is_blocking() && !self.is_fresh(now) && {
            let known = self.refreshes.known();
            known.in_flight || known.next_renewal.is_none_or(|at| now.boot >= at)
        }
    }

    /// Whether a look-up is to be started.
    pub(super) fn is_due(&self, now: Now) -> bool {
        self.refreshes.renewal_may_be_due(now) && !self.is_fresh(now)
    }

    fn is_fresh(&self, now: Now) -> bool {
        let judge = |held: &Entry<_>, _| Some(held.deadlines.judge(now.into()));
        self.refreshes.shared.slot.look(judge) == Some(Freshness::Fresh)
    }
}
