//! The regional access boundary of an account: looked up beside the requests
//! that carry it, and never in their way.

use std::{
    fmt,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::{Duration, SystemTime},
};

use http::{HeaderValue, Uri};

use crate::{
    client::iam,
    credentials::Credentials,
    io::{
        events,
        threads::{Progress, Work, WorkKind},
        transport::Limits,
    },
    values::{
        headers::ExtraHeaders,
        token::{Now, Validity},
    },
    wire::{
        boundary::{self, Found},
        response::DEFAULT_UNIVERSE,
    },
};

/// How long a boundary holds.
const LIFETIME: Duration = Duration::from_secs(6 * 3600);
/// It is looked up again this long before it ends.
const EARLY: Duration = Duration::from_secs(3600);
/// The pause after a failed look-up; doubles up to `LONGEST_PAUSE`.
const FIRST_PAUSE: Duration = Duration::from_secs(15 * 60);
const LONGEST_PAUSE: Duration = Duration::from_secs(6 * 3600);
/// Attempts of a look-up in the background; 1, 2, 4, 8 and 16 s between them.
const ATTEMPTS: u32 = 6;
/// Time for one attempt, in the background and while somebody waits.
const PATIENT: Duration = Duration::from_secs(15);
const HASTY: Duration = Duration::from_secs(3);

/// What is known of the boundary of one credential.
#[derive(Default)]
pub(super) struct Boundary {
    /// The quota project, which is sent besides.
    user_project: Option<HeaderValue>,
    data: RwLock<Data>,
    /// The process in which a look-up is queued or runs; 0 where none is.
    running: AtomicU32,
    blocking: AtomicBool,
    /// Whether the account is of a kind that has none.
    pointless: AtomicBool,
}

#[derive(Clone)]
struct Data {
    /// The boundary, and what is sent besides: whole, so that headers share it.
    besides: Option<Arc<ExtraHeaders>>,
    validity: Option<Validity>,
    paused_until: Option<Duration>,
    pause: Duration,
}

impl Default for Data {
    fn default() -> Self {
        Self {
            besides: None,
            validity: None,
            paused_until: None,
            pause: FIRST_PAUSE,
        }
    }
}

impl Data {
    fn encoded(&self) -> Option<&HeaderValue> {
        self.besides.as_ref()?.locations.as_ref()
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
            self.besides = None;
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

    fn data(&self) -> Data {
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
    pub(super) fn besides(&self, now: Now) -> Option<Arc<ExtraHeaders>> {
        let data = self.data.read().unwrap_or_else(PoisonError::into_inner);
        let besides = data.besides.as_ref()?;
        data.holds(Duration::ZERO, now).then(|| Arc::clone(besides))
    }

    /// The header, while the boundary holds.
    pub(super) fn header(&self, now: Now) -> Option<HeaderValue> {
        self.besides(now)?.locations.clone()
    }

    /// Takes over what is known to `other`, once.
    pub(super) fn start_as(&self, other: &Self) {
        let theirs = other.data();
        let besides = self.with(theirs.encoded().cloned());
        self.set(|_| Data { besides, ..theirs });
        let blocking = other.blocking.load(Ordering::Relaxed);
        self.blocking.store(blocking, Ordering::Relaxed);
    }

    fn is_due(&self, now: Now) -> bool {
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
    fn settle(&self, found: Option<Option<HeaderValue>>, now: Now) {
        self.set(|data| match found {
            Some(encoded) => Data {
                besides: self.with(encoded),
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

impl Credentials {
    /// The regional access boundary that was looked up last, encoded; also
    /// when it has expired. No I/O.
    #[must_use]
    pub fn regional_access_boundary(&self) -> Option<String> {
        let data = self.0.boundary.as_ref()?.data();
        Some(data.encoded()?.to_str().ok()?.to_owned())
    }

    /// When the boundary that was looked up last expires, or has expired.
    #[must_use]
    pub fn regional_access_boundary_expires_at(&self) -> Option<SystemTime> {
        let data = self.0.boundary.as_ref()?.data();
        data.validity?.ends().map(Now::system_time)
    }

    /// Starts with a boundary that is known from elsewhere, such as an earlier
    /// run of the program; without effect unless a boundary was asked for in
    /// the builder.
    pub fn set_regional_access_boundary(
        &self,
        encoded: Option<HeaderValue>,
        expires_at: Option<SystemTime>,
    ) {
        let Some(boundary) = &self.0.boundary else {
            return;
        };
        let now = self.0.engine.now();
        let until = |at: SystemTime| {
            let wall = at
                .duration_since(SystemTime::UNIX_EPOCH)
                .unwrap_or_default();
            Validity::until(now, wall)
        };
        let known = encoded.as_ref().is_some_and(|value| !value.is_empty());
        boundary.set(|_| Data {
            besides: boundary.with(encoded),
            validity: expires_at.filter(|_| known).map(until),
            ..Data::default()
        });
    }

    /// Has [`before_request`](Self::before_request) wait for the look-up, once
    /// and for 3 s at most, where it is due: for programs that end before a
    /// look-up in the background does. Copies wait as well.
    pub fn wait_for_regional_access_boundary(&self) {
        if let Some(boundary) = &self.0.boundary {
            boundary.blocking.store(true, Ordering::Relaxed);
        }
    }

    /// Whether [`look_up_boundary`](Self::look_up_boundary) would wait.
    pub(super) fn boundary_needs_work(&self, uri: &Uri) -> bool {
        let Some(boundary) = &self.0.boundary else {
            return false;
        };
        let waits =
            boundary.blocking.load(Ordering::Relaxed) && boundary.is_due(self.0.engine.now());
        !boundary::is_regional(uri) && (self.known_universe().is_none() || waits)
    }

    /// Looks the boundary up if it is due and a request to `uri` may need it.
    pub(super) fn look_up_boundary(&self, uri: &Uri) {
        let Some(boundary) = &self.0.boundary else {
            return;
        };
        if boundary::is_regional(uri) || !self.may_have_boundary() {
            return;
        }
        let now = self.0.engine.now();
        if boundary.blocking.load(Ordering::Relaxed) {
            if boundary.is_due(now) {
                self.refresh_boundary(boundary, 1, HASTY);
            }
        } else {
            self.renew_boundary();
        }
    }

    /// Has the executor look the boundary up, if that is due and nobody does.
    pub(super) fn renew_boundary(&self) {
        let Some(boundary) = &self.0.boundary else {
            return;
        };
        let process = std::process::id();
        if !boundary.is_due(self.0.engine.now())
            || boundary.running.swap(process, Ordering::AcqRel) == process
        {
            return;
        }
        let running = Running(Arc::clone(boundary));
        let credentials = self.clone();
        let work = Work::new(
            WorkKind::Other,
            iam::lane(&self.client().0, None),
            Progress::default(),
            move || {
                if credentials.may_have_boundary() {
                    credentials.refresh_boundary(&running.0, ATTEMPTS, PATIENT);
                } else {
                    running.0.settle(None, credentials.0.engine.now());
                }
            },
        );
        // Nobody's request waits for a boundary: where there is no thread to
        // be had, the next one tries again.
        drop(self.client().0.executor.execute(work));
    }

    /// Whether the universe and the kind of the account have boundaries. A
    /// universe that cannot be told has none, for now.
    fn may_have_boundary(&self) -> bool {
        let known = self.blocking_universe_domain();
        if known.is_ok_and(|universe| universe != DEFAULT_UNIVERSE) {
            return false;
        }
        let email = self.service_account_email();
        self.known_universe().is_some()
            && (email == "default" || boundary::is_service_account(&email))
    }

    fn refresh_boundary(&self, boundary: &Boundary, attempts: u32, patience: Duration) {
        let found = self.ask_boundary(boundary, attempts, patience);
        if found.is_none() {
            events::no_boundary(&self.service_account_email());
        }
        boundary.settle(found, self.0.engine.now());
    }

    /// `None` where nothing was found.
    #[expect(
        clippy::option_option,
        reason = "found or not, and there is one or not"
    )]
    fn ask_boundary(
        &self,
        boundary: &Boundary,
        attempts: u32,
        patience: Duration,
    ) -> Option<Option<HeaderValue>> {
        let settings = &self.client().0;
        if self.service_account_email() == "default" {
            let mut budget = settings.budget();
            self.0.source.ask_account(&mut budget).ok()?;
        }
        let email = self.service_account_email();
        if !boundary::is_service_account(&email) {
            boundary.pointless.store(true, Ordering::Relaxed);
            return None;
        }
        let token = match self.cached_token() {
            Some(token) => token.0,
            None => self.0.engine.blocking_get(self.mode()).ok()?,
        };
        let host = iam::host(settings, DEFAULT_UNIVERSE);
        let request = boundary::lookup(&host, &email, token.value().header().clone()).ok()?;
        let request = iam::identified(settings, request).ok()?;
        let limits = Limits {
            connect: patience,
            first_byte: patience,
            attempt: patience,
            ..settings.limits.clone()
        };
        let mut pause = Duration::from_secs(1);
        for left in (0..attempts).rev() {
            let response = settings.transport.send(request.clone(), &limits).ok()?;
            match boundary::found(&response) {
                Found::Boundary(encoded) => return Some(encoded),
                Found::Transient if left > 0 => settings.clock.sleep(pause),
                Found::Transient | Found::Nothing => return None,
            }
            pause = pause.saturating_mul(2);
        }
        None
    }
}

/// A look-up that is queued or runs: until it is done, or dropped undone.
struct Running(Arc<Boundary>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.store(0, Ordering::Release);
    }
}
