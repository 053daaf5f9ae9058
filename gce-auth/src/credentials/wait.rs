//! Waiting until credentials work at all.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    task::Poll,
    time::Duration,
};

use crate::{
    credentials::Credentials,
    engine::{
        RefreshMode,
        flight::{Flight, Landed, late},
        registry::Registry,
    },
    io::{
        clock::Clock,
        threads::{Executor, Work, WorkKind},
    },
    values::{
        address::ByAddress,
        error::{Error, ErrorKind},
    },
};

/// The wait between two operations that failed at once.
const PAUSE: Duration = Duration::from_secs(1);
/// How often those who wait as futures look at the clock.
const TICK: Duration = Duration::from_millis(200);

impl Credentials {
    /// Waits until a token is in hand, for at most `deadline`, through every
    /// error that time may cure: also 403 and 404, which a GKE node or a new
    /// workload identity binding answers with at first.
    ///
    /// For init containers and the start of a program; everything else just
    /// calls [`headers`](Self::headers). However many wait, they share one
    /// thread of the library's between attempts.
    ///
    /// # Errors
    /// The last error, once the deadline has passed; an error of kind
    /// [`Config`](ErrorKind::Config) at once.
    ///
    /// # Cancel safety
    /// Dropping the future ends the wait, after the attempt that is under way.
    pub async fn wait_ready(&self, deadline: Duration) -> Result<(), Error> {
        let settings = &*self.client().0;
        let ticker = TICKERS.get_or_insert(
            (
                ByAddress::of(&settings.clock),
                ByAddress::of(&settings.executor),
            ),
            Ticker::default,
        );
        let clock = &*settings.clock;
        let end = clock.now().boot.saturating_add(deadline);
        let left = || end.saturating_sub(clock.now().boot);
        loop {
            let mut token = pin!(self.0.engine.get(RefreshMode::Background));
            let outcome = loop {
                let tick = ticker.tick(&settings.clock, &settings.executor);
                if let Some(outcome) = before(token.as_mut(), tick).await {
                    break outcome;
                }
                if left().is_zero() {
                    break Err(self.in_place_of(late()));
                }
            };
            let Err(error) = outcome else {
                return Ok(());
            };
            if error.kind() == ErrorKind::Config || left().is_zero() {
                return Err(error);
            }
            let again = clock.now().boot.saturating_add(PAUSE).min(end);
            while clock.now().boot < again {
                // How a tick ends does not matter.
                let _ = ticker.tick(&settings.clock, &settings.executor).await;
            }
        }
    }

    /// [`wait_ready`](Self::wait_ready), waiting on this thread.
    ///
    /// # Errors
    /// As for [`wait_ready`](Self::wait_ready).
    pub fn blocking_wait_ready(&self, deadline: Duration) -> Result<(), Error> {
        let clock = &*self.client().0.clock;
        let end = clock.now().boot.saturating_add(deadline);
        let mut left = deadline;
        loop {
            let Err(error) = self.0.engine.blocking_get_within(left) else {
                return Ok(());
            };
            left = end.saturating_sub(clock.now().boot);
            if error.kind() == ErrorKind::Config || left.is_zero() {
                return Err(self.in_place_of(error));
            }
            clock.sleep(PAUSE.min(left));
        }
    }

    /// Of two reasons the better: an attempt that the deadline cut short says
    /// less than the failure before it.
    fn in_place_of(&self, error: Error) -> Error {
        if error.attempts() > 0 || error.kind() != ErrorKind::Timeout {
            return error;
        }
        let known = self.0.engine.keeper().known().last_failure;
        known.map_or(error, |(_, failure)| failure)
    }
}

/// What `first` comes to, unless `tick` comes before.
async fn before<F: Future>(
    mut first: std::pin::Pin<&mut F>,
    tick: Landed<()>,
) -> Option<F::Output> {
    let mut tick = pin!(tick);
    poll_fn(|context| {
        if let Poll::Ready(outcome) = first.as_mut().poll(context) {
            return Poll::Ready(Some(outcome));
        }
        tick.as_mut().poll(context).map(|_| None)
    })
    .await
}

type Key = (ByAddress<dyn Clock>, ByAddress<dyn Executor>);

static TICKERS: Registry<Key, Ticker> = Registry::new();

/// A short sleep that everybody shares who waits as a future: one thread, and
/// none once nobody waits.
#[derive(Debug, Default)]
struct Ticker(Mutex<Option<Arc<Flight<()>>>>);

impl Ticker {
    fn tick(&self, clock: &Arc<dyn Clock>, executor: &Arc<dyn Executor>) -> Landed<()> {
        let process = std::process::id();
        let mut current = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(flight) = current.as_ref() {
            if flight.process == process && !flight.has_landed() {
                return flight.outcome();
            }
        }
        let sleeper = Arc::clone(clock);
        let flight = Arc::new(Flight::new(clock.now(), process, move || {
            sleeper.sleep(TICK);
            Ok(())
        }));
        *current = Some(Arc::clone(&flight));
        drop(current);
        let landed = flight.outcome();
        let work = Work::new(WorkKind::Watch, flight.awaited.clone(), move || {
            flight.run();
        });
        if let Err(work) = executor.execute(work) {
            work.run();
        }
        landed
    }
}
