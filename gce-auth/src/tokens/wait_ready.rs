//! Waiting until credentials work at all.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    task::Poll,
    time::Duration,
};

use crate::{
    io::{
        clock::Clock,
        threads::{Executor, LaneKey, WorkKind},
    },
    refresh::{RefreshMode, shared_map::Registry},
    task::{
        ended::late,
        shared_task::{Landed, SharedTask},
    },
    tokens::handle::Handle,
    values::{
        address::ByAddress,
        error::{Error, ErrorKind},
    },
};

/// The wait between two operations that failed at once.
const PAUSE: Duration = Duration::from_secs(1);
/// How often those who wait as futures look at the clock.
const TICK: Duration = Duration::from_millis(200);

impl Handle {
    pub(crate) async fn wait_ready(&self, deadline: Duration) -> Result<(), Error> {
        let settings = &*self.inner.source.client().0;
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
            let mut token = pin!(self.inner.cache.get(RefreshMode::Background));
            let outcome = loop {
                let tick = ticker.tick(&settings.clock, &settings.executor);
                match before(token.as_mut(), tick).await {
                    Ok(outcome) => break outcome,
                    Err(tick) => ticked(&tick, clock),
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
                let tick = ticker.tick(&settings.clock, &settings.executor).await;
                ticked(&tick, clock);
            }
        }
    }

    pub(crate) fn blocking_wait_ready(&self, deadline: Duration) -> Result<(), Error> {
        let clock = &*self.inner.source.client().0.clock;
        let end = clock.now().boot.saturating_add(deadline);
        let mut left = deadline;
        loop {
            let Err(error) = self.inner.cache.blocking_get_within(left) else {
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
        let known = self.inner.cache.refreshes().known().last_failure;
        known.map_or(error, |(_, failure)| failure)
    }
}

/// After a tick: where the executor dropped it, time passes here. A loop that
/// never lets go of the processor would be worse.
fn ticked(tick: &Result<(), Error>, clock: &dyn Clock) {
    if tick.is_err() {
        clock.sleep(TICK);
    }
}

/// What `first` comes to, unless `tick` comes before.
async fn before<F: Future>(
    mut first: std::pin::Pin<&mut F>,
    tick: Landed<()>,
) -> Result<F::Output, Result<(), Error>> {
    let mut tick = pin!(tick);
    poll_fn(|context| {
        if let Poll::Ready(outcome) = first.as_mut().poll(context) {
            return Poll::Ready(Ok(outcome));
        }
        tick.as_mut().poll(context).map(Err)
    })
    .await
}

type Key = (ByAddress<dyn Clock>, ByAddress<dyn Executor>);

static TICKERS: Registry<Key, Ticker> = Registry::new();

/// A short sleep that all waiting futures share: one thread, and none once the
/// last has gone.
#[derive(Default)]
struct Ticker(Mutex<Option<Arc<SharedTask<()>>>>);

impl Ticker {
    fn tick(&self, clock: &Arc<dyn Clock>, executor: &Arc<dyn Executor>) -> Landed<()> {
        let process = std::process::id();
        let mut current = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(flight) = current.as_ref() {
            if flight.process == process && !flight.has_landed() {
                return flight.outcome(TICK);
            }
        }
        let sleeper = Arc::clone(clock);
        let flight = Arc::new(SharedTask::new(clock.now(), TICK, process, move |_| {
            sleeper.sleep(TICK);
            Ok(())
        }));
        *current = Some(Arc::clone(&flight));
        drop(current);
        let landed = flight.outcome(TICK);
        flight.depart(WorkKind::Watch, &LaneKey::nowhere(), &**executor, None);
        landed
    }
}

#[cfg(all(test, not(gce_auth_loom)))]
mod tests {
    use std::{
        pin::pin,
        task::{Context, Poll, Waker},
    };

    use super::*;
    use crate::{
        Credentials, MetadataClient,
        io::fake::{HandClock, HandQueue, Reply, ScriptedTransport},
    };

    #[test]
    fn a_failure_says_more_than_the_deadline_that_cut_the_next_attempt_short() {
        let failing = |replies: Vec<Reply>| {
            let client = MetadataClient::builder()
                .transport(Arc::new(ScriptedTransport::new(replies)))
                .clock(Arc::new(HandClock::at(1)))
                .endpoint("metadata")
                .build_without_environment();
            let builder = Credentials::builder().client(client).shared(false);
            let credentials = builder.build().unwrap();
            let _ = credentials.blocking_token();
            credentials
        };
        let late = |attempts| {
            Error::new(ErrorKind::Timeout, "late").after(attempts, Duration::from_secs(1))
        };
        let forbidden = failing(vec![Reply::status(403)]);
        let of = |error: Error| forbidden.0.in_place_of(error).kind();
        assert_eq!(of(late(0)), ErrorKind::Forbidden);
        assert_eq!(of(late(3)), ErrorKind::Timeout, "the server was asked");
        let other = Error::new(ErrorKind::NotFound, "other");
        assert_eq!(of(other), ErrorKind::NotFound);
        let never_failed = failing(vec![Reply::token("t", 3600)]);
        let kept = never_failed.0.in_place_of(late(0));
        assert_eq!(kept.kind(), ErrorKind::Timeout);
    }

    #[test]
    fn a_wait_whose_work_is_dropped_ends_in_time() {
        let transport = Arc::new(ScriptedTransport::new([Reply::token("t", 3600)]));
        let clock = Arc::new(HandClock::at(1));
        let client = MetadataClient::builder()
            .transport(Arc::clone(&transport) as _)
            .clock(Arc::clone(&clock) as _)
            .executor(Arc::new(HandQueue::dropping()))
            .endpoint("metadata")
            .build_without_environment();
        let credentials = Credentials::builder().client(client).build().unwrap();
        let mut ready = pin!(credentials.wait_ready(Duration::from_secs(30)));
        let polled = ready.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        let Poll::Ready(Err(error)) = polled else {
            panic!("nobody will ever end this wait")
        };
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        // It has slept, and not turned in a circle.
        let slept: Duration = clock.take_sleeps().iter().sum();
        assert_eq!(slept.as_secs(), 30);
        assert!(transport.requests().is_empty());
    }
}
