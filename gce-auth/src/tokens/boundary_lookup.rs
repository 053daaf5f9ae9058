//! Looks the regional access boundary up, beside the requests that carry it
//! and never in their way.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use http::{HeaderValue, Uri};

use crate::{
    client::iam::{self, Iam},
    io::{
        events,
        threads::{LaneKey, WorkKind},
    },
    refresh::{FetchContext, RefreshMode, Source, cache::Cache},
    task::under_way,
    tokens::{
        boundary::{Boundary, Locations},
        credentials::Credentials,
        handle::Handle,
    },
    values::{
        budget::Budget,
        error::{Error, ErrorKind},
        token::{Now, Validity},
        universe::DEFAULT_UNIVERSE,
    },
    wire::boundary::{self, Holder},
};

/// How a look-up asks.
#[derive(Clone, Copy)]
struct Patience {
    attempts: u32,
    /// Time for one attempt.
    attempt: Duration,
    /// Time for all of it.
    total: Duration,
}

/// In the background; 1, 2, 4, 8 and 16 s pass between the attempts.
const PATIENT: Patience = Patience {
    attempts: 6,
    attempt: Duration::from_secs(15),
    total: Duration::from_secs(130),
};
/// Where a caller waits.
const HASTY: Patience = Patience {
    attempts: 1,
    attempt: Duration::from_secs(3),
    total: Duration::from_secs(3),
};

impl Credentials {
    /// Returns the regional access boundary that was looked up last, encoded; also
    /// when it has expired. No I/O.
    #[must_use]
    pub fn regional_access_boundary(&self) -> Option<String> {
        let held = self.0.inner.boundary.as_ref()?.held()?;
        Some(held.encoded()?.to_str().ok()?.to_owned())
    }

    /// Returns when the boundary that was looked up last expires, or has expired.
    #[must_use]
    pub fn regional_access_boundary_expires_at(&self) -> Option<SystemTime> {
        let held = self.0.inner.boundary.as_ref()?.held()?;
        held.validity.ends().map(Now::system_time)
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
            boundary.block();
        }
    }
}

impl Handle {
    /// Sees to the boundary of a request to `uri`: asks for the universe if that
    /// is not known, waits for a look-up that is due if it is to, else starts it.
    /// A request goes without a boundary that comes too late.
    pub(crate) async fn ready_boundary(&self, uri: &Uri) {
        let Some(boundary) = self.boundary_for(uri) else {
            return;
        };
        let began = self.now();
        let waits = boundary.is_waited_for(began);
        let may_have = if self.known_universe().is_some() {
            self.may_have_boundary()
        } else {
            let (client, asked) = (self.inner.source.client(), self.clone());
            let budget = if waits {
                HASTY.total
            } else {
                client.0.retry.total()
            };
            let work = move |_: &_| Ok(asked.may_have_boundary());
            let told = client.background_in(&client.0.lane, WorkKind::Other, budget, work);
            told.await.unwrap_or(false)
        };
        if may_have && waits {
            let spent = self.now().boot.saturating_sub(began.boot);
            let cache = self.boundary_cache(boundary, HASTY);
            let _ = cache.get_after(RefreshMode::Blocking, spent).await;
        } else if may_have && !boundary.is_blocking() {
            self.renew_boundary();
        }
    }

    /// [`ready_boundary`](Self::ready_boundary), waiting on this thread.
    pub(crate) fn blocking_ready_boundary(&self, uri: &Uri) {
        let Some(boundary) = self.boundary_for(uri) else {
            return;
        };
        let now = self.now();
        let left = under_way::left(HASTY.total, now);
        if !boundary.is_waited_for(now) {
            if !boundary.is_blocking() && self.may_have_boundary() {
                self.renew_boundary();
            }
        } else if !left.is_zero() {
            under_way::within(&Budget::new(now, left), || {
                if self.may_have_boundary() {
                    let cache = self.boundary_cache(boundary, HASTY);
                    let _ = cache.blocking_get(RefreshMode::Blocking);
                }
            });
        }
    }

    /// Starts a look-up on another thread, if it is due and none is under way.
    pub(crate) fn renew_boundary(&self) {
        if let Some(boundary) = &self.inner.boundary {
            if boundary.is_due(self.now()) && self.inner.source.boundary_holder().is_some() {
                // A request that comes meanwhile may wait for it.
                let patience = if boundary.is_blocking() {
                    HASTY
                } else {
                    PATIENT
                };
                self.boundary_cache(boundary, patience).renew_elsewhere();
            }
        }
    }

    /// Returns the boundary, if a request to `uri` may need it.
    fn boundary_for(&self, uri: &Uri) -> Option<&Boundary> {
        let boundary = self.inner.boundary.as_deref()?;
        (!boundary::is_regional(uri)).then_some(boundary)
    }

    /// Returns the boundary with these credentials as its source. They hold it,
    /// so it does not hold them.
    fn boundary_cache(&self, boundary: &Boundary, patience: Patience) -> Cache<Lookup> {
        let settings = &self.inner.source.client().0;
        let lookup = Lookup {
            credentials: self.clone(),
            patience,
            // IAM, after the server that knows the universe.
            lane: iam::lane(settings, None).after(self.inner.source.lane()),
        };
        let (clock, executor) = (Arc::clone(&settings.clock), Arc::clone(&settings.executor));
        Cache::new(
            boundary.refreshes.clone(),
            Arc::new(lookup),
            clock,
            executor,
        )
    }

    /// Whether the universe and the kind of the account have boundaries. A
    /// universe that cannot be told has none, for now.
    fn may_have_boundary(&self) -> bool {
        let Some(holder) = self.inner.source.boundary_holder() else {
            return false;
        };
        self.universe_domain()
            .is_ok_and(|it| it == DEFAULT_UNIVERSE)
            && match holder {
                Holder::Account => {
                    let email = self.inner.source.info().principal;
                    email == "default" || boundary::is_service_account(&email)
                }
                #[cfg(feature = "adc")]
                Holder::Pool(_) => true,
            }
    }
}

/// A look-up of the boundary of `credentials`, with a token of theirs.
struct Lookup {
    credentials: Handle,
    patience: Patience,
    lane: LaneKey,
}

impl Source for Lookup {
    type Value = Locations;

    const WHAT: &'static str = "regional access boundary";

    fn fetch(&self, _: &FetchContext) -> Result<Locations, Error> {
        let handle = &self.credentials;
        let boundary = handle.inner.boundary.as_ref().ok_or_else(none)?;
        let found = self.ask();
        if found.is_err() {
            events::no_boundary(&handle.inner.source.info().principal);
            boundary.failed(handle.now());
        }
        Ok(boundary.found(found?, handle.now()))
    }

    fn budget(&self) -> Duration {
        self.patience.total
    }

    fn kind(&self) -> WorkKind {
        WorkKind::Other
    }

    fn lane(&self) -> &LaneKey {
        &self.lane
    }
}

impl Lookup {
    fn ask(&self) -> Result<Option<HeaderValue>, Error> {
        let (handle, source) = (&self.credentials, &self.credentials.inner.source);
        if !handle.may_have_boundary() {
            return Err(none());
        }
        let name = match source.boundary_holder().ok_or_else(none)? {
            Holder::Account => self.account_name()?,
            #[cfg(feature = "adc")]
            Holder::Pool(name) => name,
        };
        let token = match handle.valid() {
            Some(token) => token,
            None => handle.inner.cache.blocking_get(handle.mode())?,
        };
        let settings = &source.client().0;
        let mut iam = Iam::new(settings);
        let policy = settings.retry.clone().attempts(self.patience.attempts);
        iam.policy = &policy;
        iam.limits = iam.limits.within(self.patience.attempt);
        iam.limits.connect = self.patience.attempt;
        let now = settings.clock.now();
        let mut budget = Budget::new(now, under_way::left(self.patience.total, now));
        iam.allowed_locations(&mut budget, &name, token.value().header())
    }

    /// The resource name of the account, which is asked for if need be.
    fn account_name(&self) -> Result<String, Error> {
        let source = &self.credentials.inner.source;
        if source.info().principal == "default" {
            source.ask_account(&mut source.client().0.budget())?;
        }
        let email = source.info().principal;
        let is_bounded = boundary::is_service_account(&email);
        is_bounded
            .then(|| boundary::account(&email))
            .ok_or_else(none)
    }
}

fn none() -> Error {
    Error::new(
        ErrorKind::InvalidOperation,
        "this account has no regional access boundary",
    )
}
