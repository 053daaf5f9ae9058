//! Floor 4: when to fetch, who fetches, who waits. Knows no HTTP, no URL and
//! no JSON; generic over what is fetched and over who runs the work.

pub(crate) mod slot;

pub(crate) mod keeper;
pub(crate) mod policy;
pub(crate) mod reader;
pub(crate) mod shared_map;
pub(crate) mod thread_local;

use std::{sync::Arc, time::Duration};

use crate::{
    io::{
        clock::{AnyClock, Clock},
        events,
        threads::{Executor, LaneKey, WorkKind},
    },
    refresh::{
        keeper::{Decision, Keeper, Reason, TaskId, Value},
        policy::Freshness,
        reader::Reader,
    },
    task::shared_task::{self, SharedTask},
    values::{error::Error, token::Now},
};

/// Where a value comes from.
pub(crate) trait Source: Send + Sync + 'static {
    type Value: Value;

    /// Fetches a value; blocks.
    fn fetch(&self, departure: &FetchContext) -> Result<Self::Value, Error>;

    /// The whole time that a fetch may take.
    fn budget(&self) -> Duration;

    /// What kind of work a fetch is.
    fn kind(&self) -> WorkKind;

    /// The server that a fetch asks first.
    fn lane(&self) -> &LaneKey;
}

/// What a fetch is told when it begins.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FetchContext {
    /// When the budget began to run.
    pub(crate) began: Now,
    /// Whether somebody asked for everything to be asked anew.
    pub(crate) forced: bool,
    /// How many waits between attempts were in vain since the last success:
    /// those of this fetch go on from there.
    pub(crate) waits: u32,
}

/// What a stale value means to whoever asks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RefreshMode {
    /// A stale token is handed out at once, and one refresh runs in the
    /// background. Nobody waits while a token is valid.
    #[default]
    Background,
    /// Whoever finds the token stale waits for the refresh, and gets the old
    /// token where it fails. What google-auth does by default.
    Blocking,
}

/// A kept value together with one way to get it, and one way to show it: `T`
/// is what callers are handed.
pub(crate) struct Engine<S: Source> {
    front: Reader<S::Value>,
    source: Arc<S>,
    clock: AnyClock,
    executor: Arc<dyn Executor>,
}

/// What a caller goes on with.
enum Next<V> {
    /// Wait for this flight, and run it if it is yours.
    Wait {
        flight: Arc<SharedTask<V>>,
        lead: bool,
    },
    /// This is the outcome.
    Done(Result<V, Error>),
}

impl<S: Source> Engine<S> {
    pub(crate) fn new(
        keeper: Arc<Keeper<S::Value>>,
        source: Arc<S>,
        clock: Arc<dyn Clock>,
        executor: Arc<dyn Executor>,
    ) -> Self {
        let clock = AnyClock::of(clock);
        Self {
            front: Reader::new(keeper, &clock),
            source,
            clock,
            executor,
        }
    }

    pub(crate) fn front(&self) -> &Reader<S::Value> {
        &self.front
    }

    pub(crate) fn keeper(&self) -> &Arc<Keeper<S::Value>> {
        &self.front.keeper
    }

    pub(crate) fn now(&self) -> Now {
        self.clock.now()
    }

    /// Starts a flight, unless one is under way or has just failed, and leaves
    /// it to itself.
    pub(crate) fn start(&self) {
        let why = Reason::Need(Freshness::Stale);
        if let Decision::Lead(flight) = self.plan(why, self.clock.now()) {
            self.depart(&flight);
        }
    }

    /// The value, fetched if need be; waits in `mode`'s way.
    pub(crate) async fn get(&self, mode: RefreshMode) -> Result<S::Value, Error> {
        let now = self.clock.now();
        let held = self.front.keeper.read(now);
        match held {
            Some((entry, Freshness::Fresh)) => Ok(entry.value),
            Some((entry, _)) if mode == RefreshMode::Background => {
                self.renew();
                Ok(entry.value)
            }
            Some((entry, _)) => {
                let outcome = self
                    .outcome(self.next(Reason::Need(Freshness::Fresh), now))
                    .await;
                // A valid token is never given up.
                outcome.or(Ok(entry.value))
            }
            None => {
                self.outcome(self.next(Reason::Need(Freshness::Stale), now))
                    .await
            }
        }
    }

    /// [`get`](Self::get), waiting on this thread.
    pub(crate) fn blocking_get(&self, mode: RefreshMode) -> Result<S::Value, Error> {
        let now = self.clock.now();
        match self.front.keeper.read(now) {
            Some((entry, Freshness::Fresh)) => Ok(entry.value),
            Some((entry, _)) if mode == RefreshMode::Background => {
                self.renew();
                Ok(entry.value)
            }
            Some((entry, _)) => {
                let outcome = self.blocking_outcome(self.next(Reason::Need(Freshness::Fresh), now));
                outcome.or(Ok(entry.value))
            }
            None => self.blocking_outcome(self.next(Reason::Need(Freshness::Stale), now)),
        }
    }

    /// A value that was fetched after this call.
    pub(crate) async fn refresh(&self) -> Result<S::Value, Error> {
        let now = self.clock.now();
        self.outcome(self.next(Reason::Force, now)).await
    }

    /// [`refresh`](Self::refresh), waiting on this thread.
    pub(crate) fn blocking_refresh(&self) -> Result<S::Value, Error> {
        let now = self.clock.now();
        self.blocking_outcome(self.next(Reason::Force, now))
    }

    /// A value, fetched by the executor if need be, waited for at most for
    /// `limit` whatever the budget is.
    pub(crate) fn blocking_get_within(&self, limit: Duration) -> Result<S::Value, Error> {
        let now = self.clock.now();
        if let Some((entry, _)) = self.front.keeper.read(now) {
            return Ok(entry.value);
        }
        match self.next(Reason::Need(Freshness::Stale), now) {
            Next::Done(outcome) => outcome,
            Next::Wait { flight, lead } => {
                if lead {
                    self.depart(&flight);
                }
                let outcome = flight.wait_briefly(limit);
                outcome.unwrap_or_else(|| Err(shared_task::late()))
            }
        }
    }

    /// Starts a flight in the background, if one is due and none is under way.
    pub(crate) fn renew(&self) {
        let now = self.clock.now();
        if !self.front.keeper.renewal_may_be_due(now) {
            return;
        }
        if let Decision::Lead(flight) = self.plan(Reason::Renew, now) {
            // Where no thread is to be had the caller's does it, as for any
            // other work: a token that nobody renews would be worse.
            self.depart(&flight);
        }
    }

    /// Starts a forced fetch in the background, unless one is under way or has
    /// just failed: for values that are fresh, too.
    pub(crate) fn renew_fully(&self) {
        if let Decision::Lead(flight) = self.plan(Reason::RenewFully, self.clock.now()) {
            self.depart(&flight);
        }
    }

    fn plan(&self, why: Reason, now: Now) -> Decision<S::Value> {
        let budget = self.source.budget();
        let process = std::process::id();
        let keeper = &self.front.keeper;
        keeper.plan(why, now, process, budget, |id, waits| {
            let (keeper, source) = (Arc::clone(keeper), Arc::clone(&self.source));
            let mut unsettled = Unsettled::new(keeper, id, self.clock.clone());
            let departure = FetchContext {
                began: now,
                forced: matches!(why, Reason::Force | Reason::RenewFully),
                waits,
            };
            SharedTask::new(now, budget, process, move || {
                unsettled.begun = true;
                let span = events::refresh(departure.forced);
                let outcome = source.fetch(&departure);
                events::refreshed(span, outcome.as_ref().err());
                unsettled.settle(&outcome);
                outcome
            })
        })
    }

    fn next(&self, why: Reason, now: Now) -> Next<S::Value> {
        match self.plan(why, now) {
            Decision::Join(flight) => Next::Wait {
                flight,
                lead: false,
            },
            Decision::Lead(flight) => Next::Wait { flight, lead: true },
            Decision::Failed(error) => Next::Done(Err(error)),
            Decision::Have(value) => Next::Done(Ok(value)),
            // Only renewals have nothing to do.
            Decision::Nothing => Next::Done(Err(shared_task::late())),
        }
    }

    async fn outcome(&self, next: Next<S::Value>) -> Result<S::Value, Error> {
        match next {
            Next::Done(outcome) => outcome,
            Next::Wait { flight, lead } => {
                let landed = flight.outcome(self.source.budget());
                if lead {
                    self.depart(&flight);
                }
                landed.await
            }
        }
    }

    fn blocking_outcome(&self, next: Next<S::Value>) -> Result<S::Value, Error> {
        match next {
            Next::Done(outcome) => outcome,
            Next::Wait { flight, .. } => flight.blocking_outcome(self.source.budget()),
        }
    }

    /// Hands a flight to the executor, or flies it here.
    fn depart(&self, flight: &Arc<SharedTask<S::Value>>) {
        flight.depart(self.source.kind(), self.source.lane(), &*self.executor);
    }
}

/// Sees to it that a keeper hears of its flight even if the source panics, or
/// the executor drops it.
struct Unsettled<V: Value> {
    keeper: Arc<Keeper<V>>,
    id: Option<TaskId>,
    clock: AnyClock,
    begun: bool,
}

impl<V: Value> Unsettled<V> {
    fn new(keeper: Arc<Keeper<V>>, id: TaskId, clock: AnyClock) -> Self {
        Self {
            keeper,
            id: Some(id),
            clock,
            begun: false,
        }
    }

    fn settle(&mut self, outcome: &Result<V, Error>) {
        if let Some(id) = self.id.take() {
            self.keeper
                .settle(id, self.clock.now(), outcome, self.clock.jitter());
        }
    }
}

impl<V: Value> Drop for Unsettled<V> {
    fn drop(&mut self) {
        self.settle(&Err(if self.begun {
            shared_task::panicked()
        } else {
            shared_task::dropped()
        }));
    }
}

impl<S: Source> std::fmt::Debug for Engine<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine")
            .field("front", &self.front)
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, not(gce_auth_loom)))]
mod tests;
