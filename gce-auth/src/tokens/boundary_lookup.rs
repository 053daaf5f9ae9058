//! Looks the regional access boundary up, beside the requests that carry it
//! and never in their way.

use std::{
    sync::{Arc, atomic::Ordering},
    time::{Duration, SystemTime},
};

use http::{HeaderValue, Uri};

use crate::{
    client::iam::{self, Iam},
    io::{
        events,
        threads::{Progress, Work, WorkKind},
    },
    task::under_way,
    tokens::{boundary::Boundary, credentials::Credentials, handle::Handle},
    values::{
        budget::Budget,
        error::Error,
        token::{Now, Validity},
        universe::DEFAULT_UNIVERSE,
    },
    wire::boundary::{self, Holder},
};

/// Attempts of a look-up in the background; 1, 2, 4, 8 and 16 s between them.
const ATTEMPTS: u32 = 6;
/// Time for one attempt in the background.
const PATIENT: Duration = Duration::from_secs(15);
/// How long a caller waits for a look-up, with all that it takes.
const HASTY: Duration = Duration::from_secs(3);
/// Time for all attempts of a look-up, and the waits between them.
const LONGEST_LOOKUP: Duration = Duration::from_secs(130);

impl Credentials {
    /// The regional access boundary that was looked up last, encoded; also
    /// when it has expired. No I/O.
    #[must_use]
    pub fn regional_access_boundary(&self) -> Option<String> {
        let data = self.0.inner.boundary.as_ref()?.data();
        Some(data.encoded()?.to_str().ok()?.to_owned())
    }

    /// When the boundary that was looked up last expires, or has expired.
    #[must_use]
    pub fn regional_access_boundary_expires_at(&self) -> Option<SystemTime> {
        let data = self.0.inner.boundary.as_ref()?.data();
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
        let Some(boundary) = &self.0.inner.boundary else {
            return;
        };
        let now = self.0.now();
        let until = |at: SystemTime| {
            let wall = at
                .duration_since(SystemTime::UNIX_EPOCH)
                .unwrap_or_default();
            Validity::until(now, wall)
        };
        boundary.preset(encoded, expires_at.map(until));
    }

    /// Has [`before_request`](Self::before_request) wait for the look-up, once
    /// and for 3 s at most, where it is due: for programs that end before a
    /// look-up in the background does. Copies wait as well.
    pub fn block_on_regional_access_boundary(&self) {
        if let Some(boundary) = &self.0.inner.boundary {
            boundary.blocking.store(true, Ordering::Relaxed);
        }
    }
}

impl Handle {
    /// [`look_up_boundary`](Self::look_up_boundary), as a future.
    pub(crate) async fn ready_boundary(&self, uri: &Uri) -> Result<(), Error> {
        if !self.boundary_needs_work(uri) {
            self.look_up_boundary(uri);
            return Ok(());
        }
        let (credentials, uri) = (self.clone(), uri.clone());
        let work = move |_: &_| {
            credentials.look_up_boundary(&uri);
            Ok(())
        };
        let client = self.inner.source.client();
        if self.waits_for_boundary() {
            // A request goes without a boundary that comes too late.
            let _ = client.background_within(WorkKind::Other, HASTY, work).await;
            return Ok(());
        }
        client.background(WorkKind::Other, work).await
    }

    fn waits_for_boundary(&self) -> bool {
        let boundary = self.inner.boundary.as_ref();
        boundary.is_some_and(|it| it.blocking.load(Ordering::Relaxed) && it.is_due(self.now()))
    }

    /// Whether [`look_up_boundary`](Self::look_up_boundary) would wait.
    pub(crate) fn boundary_needs_work(&self, uri: &Uri) -> bool {
        let is_bounded = self.inner.boundary.is_some() && !boundary::is_regional(uri);
        is_bounded && (self.known_universe().is_none() || self.waits_for_boundary())
    }

    /// Looks the boundary up if it is due and a request to `uri` may need it.
    pub(crate) fn look_up_boundary(&self, uri: &Uri) {
        let Some(boundary) = &self.inner.boundary else {
            return;
        };
        if boundary::is_regional(uri) {
            return;
        }
        if self.waits_for_boundary() {
            let now = self.now();
            let budget = Budget::new(now, under_way::left(HASTY, now));
            under_way::within(&budget, || self.wait_for_boundary(boundary, &budget));
        } else if !boundary.blocking.load(Ordering::Relaxed) && self.may_have_boundary() {
            self.renew_boundary();
        }
    }

    /// Looks the boundary up here, or waits for another caller that does.
    fn wait_for_boundary(&self, boundary: &Boundary, budget: &Budget) {
        let left = || budget.left(self.now());
        if left().is_zero() || !self.may_have_boundary() {
            return;
        }
        let asking = boundary.asking.get();
        let turn = asking.turn(left());
        // Another caller may have asked meanwhile.
        if turn.is_some() && boundary.is_due(self.now()) {
            self.refresh_boundary(boundary, 1, HASTY);
        }
    }

    /// Has the executor look the boundary up, if that is due and none is under way.
    pub(crate) fn renew_boundary(&self) {
        let Some(boundary) = &self.inner.boundary else {
            return;
        };
        let process = std::process::id();
        if !boundary.is_due(self.now())
            || self.inner.source.boundary_holder().is_none()
            || boundary.running.swap(process, Ordering::AcqRel) == process
        {
            return;
        }
        let running = Running(Arc::clone(boundary));
        let credentials = self.clone();
        let lane = iam::lane(&self.inner.source.client().0, None);
        let work = Work::new(WorkKind::Other, lane, Progress::default(), move || {
            if credentials.may_have_boundary() {
                credentials.refresh_boundary(&running.0, ATTEMPTS, PATIENT);
            } else {
                running.0.settle(None, credentials.now());
            }
        });
        // No request waits for a boundary: where there is no thread to
        // be had, the next one tries again.
        drop(self.inner.source.client().0.executor.execute(work));
    }

    /// Whether the universe and the kind of the account have boundaries. A
    /// universe that cannot be told has none, for now.
    fn may_have_boundary(&self) -> bool {
        let Some(holder) = self.inner.source.boundary_holder() else {
            return false;
        };
        let known = self.universe_domain();
        if known.is_ok_and(|universe| universe != DEFAULT_UNIVERSE) {
            return false;
        }
        self.known_universe().is_some()
            && match holder {
                Holder::Account => {
                    let email = self.inner.source.info().principal;
                    email == "default" || boundary::is_service_account(&email)
                }
                #[cfg(feature = "adc")]
                Holder::Pool(_) => true,
            }
    }

    fn refresh_boundary(&self, boundary: &Boundary, attempts: u32, patience: Duration) {
        let found = self.ask_boundary(boundary, attempts, patience);
        if found.is_none() {
            events::no_boundary(&self.inner.source.info().principal);
        }
        boundary.settle(found, self.now());
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
        let settings = &self.inner.source.client().0;
        let name = match self.inner.source.boundary_holder()? {
            Holder::Account => self.account_name(boundary)?,
            #[cfg(feature = "adc")]
            Holder::Pool(name) => name,
        };
        let token = match self.valid() {
            Some(token) => token,
            None => self.inner.cache.blocking_get(self.mode()).ok()?,
        };
        let mut iam = Iam::new(settings);
        let policy = settings.retry.clone().attempts(attempts);
        iam.policy = &policy;
        iam.limits = iam.limits.within(patience);
        iam.limits.connect = patience;
        let now = settings.clock.now();
        let mut budget = Budget::new(now, under_way::left(LONGEST_LOOKUP, now));
        let found = iam.allowed_locations(&mut budget, &name, token.value().header());
        found.ok()
    }

    /// The resource name of the account, which is asked for if need be.
    fn account_name(&self, boundary: &Boundary) -> Option<String> {
        let source = &self.inner.source;
        if source.info().principal == "default" {
            source.ask_account(&mut source.client().0.budget()).ok()?;
        }
        let email = source.info().principal;
        if !boundary::is_service_account(&email) {
            boundary.pointless.store(true, Ordering::Relaxed);
            return None;
        }
        Some(boundary::account(&email))
    }
}

/// A look-up that is queued or runs: until it is done, or dropped undone.
struct Running(Arc<Boundary>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.store(0, Ordering::Release);
    }
}
