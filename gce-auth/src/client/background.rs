//! Work for the metadata server: blocking work for async callers, and one
//! request within the budget of its operation.

use std::{sync::Arc, time::Duration};

use http::Request;

use crate::{
    client::{config::MetadataClient, metadata},
    io::threads::{LaneKey, WorkKind},
    task::background::Background,
    values::{budget::Budget, error::Error},
};

impl MetadataClient {
    /// Does blocking work off the caller's thread, and waits for it as a future
    /// that belongs to no runtime. `work` is given a client whose budget has run
    /// since. Work that is cancelled before a thread takes it is not done.
    pub(crate) async fn background<T: Clone + Send + 'static>(
        &self,
        kind: WorkKind,
        work: impl FnOnce(&Self) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        self.background_in(&self.0.lane, kind, self.0.retry.total(), work)
            .await
    }

    /// [`background`](Self::background) in another lane, for work that does not ask the metadata
    /// server alone, and with another budget.
    pub(crate) async fn background_in<T: Clone + Send + 'static>(
        &self,
        lane: &LaneKey,
        kind: WorkKind,
        budget: Duration,
        work: impl FnOnce(&Self) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let client = self.clone();
        let background = Background {
            kind,
            lane,
            executor: &*self.0.executor,
            clock: &*self.0.clock,
            budget,
        };
        background
            .run(move |budget| work(&client.within(budget)))
            .await
    }

    /// Returns this client for the operation that `budget` is of.
    fn within(&self, budget: Budget) -> Self {
        let now = self.0.clock.now();
        if budget == Budget::new(now, self.0.retry.total()) {
            // It has not waited.
            return self.clone();
        }
        let mut config = self.0.for_one_request();
        config.under_way = Some(budget);
        Self(Arc::new(config))
    }

    /// One call within a budget of its own.
    pub(crate) fn ask<T>(
        &self,
        request: &Request<Vec<u8>>,
        read: impl metadata::Read<T>,
    ) -> Result<T, Error> {
        metadata::fetch(&self.0, &mut self.0.budget(), request, read)
    }
}

#[cfg(all(test, not(gce_auth_loom)))]
mod tests {
    use std::{
        future::Future,
        pin::pin,
        task::{Context, Poll, Waker},
    };

    use super::*;
    use crate::{
        io::fake::{HandClock, HandQueue, Reply, ScriptedTransport},
        values::error::ErrorKind,
    };

    struct World {
        client: MetadataClient,
        transport: Arc<ScriptedTransport>,
        clock: Arc<HandClock>,
        queue: Arc<HandQueue>,
    }

    fn world(reply: Reply, queue: HandQueue) -> World {
        let transport = Arc::new(ScriptedTransport::new([reply]));
        let clock = Arc::new(HandClock::at(1));
        let queue = Arc::new(queue);
        let client = MetadataClient::builder()
            .transport(Arc::clone(&transport) as _)
            .clock(Arc::clone(&clock) as _)
            .executor(Arc::clone(&queue) as _)
            .endpoint("metadata")
            .build_without_environment();
        World {
            client,
            transport,
            clock,
            queue,
        }
    }

    fn poll<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
        future.poll(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn a_call_that_was_cancelled_in_the_queue_asks_nobody() {
        let world = world(Reply::text("x"), HandQueue::new());
        for _ in 0..100 {
            let mut call = Box::pin(world.client.get("instance/name"));
            assert!(poll(call.as_mut()).is_pending());
        }
        let mut staying = pin!(world.client.get("instance/name"));
        assert!(poll(staying.as_mut()).is_pending());
        assert_eq!(world.queue.run_all(), 101);
        assert_eq!(world.transport.requests().len(), 1);
        assert!(matches!(poll(staying.as_mut()), Poll::Ready(Ok(name)) if name == "x"));
    }

    #[test]
    fn a_call_whose_work_is_dropped_ends() {
        let world = world(Reply::text("x"), HandQueue::dropping());
        let mut call = pin!(world.client.get("instance/name"));
        let Poll::Ready(Err(error)) = poll(call.as_mut()) else {
            panic!("nobody will ever end this wait")
        };
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(error.is_retryable() && world.transport.requests().is_empty());
    }

    #[test]
    fn waiting_for_a_thread_costs_the_budget() {
        let world = world(Reply::status(503), HandQueue::new());
        let mut text = pin!(world.client.get("instance/name"));
        let mut sent = pin!(world.client.request("instance/name").send());
        let both = (poll(text.as_mut()), poll(sent.as_mut()));
        assert!(both.0.is_pending() && both.1.is_pending());
        world.clock.advance(Duration::from_secs(6));
        for done in 1..=2 {
            assert!(world.queue.run_next());
            let slept: Duration = world.clock.take_sleeps().iter().sum();
            // The second has waited for the first as well.
            let left = Duration::from_secs(if done == 1 { 4 } else { 1 });
            assert!(slept <= left, "{slept:?} of {left:?}");
        }
        let requests = world.transport.requests().len();
        let ended = [
            poll(text.as_mut()).map_ok(drop),
            poll(sent.as_mut()).map_ok(drop),
        ];
        assert!(ended.iter().all(
            |it| matches!(it, Poll::Ready(Err(error)) if error.kind() == ErrorKind::Unavailable)
        ));

        // Too late for anything.
        let mut late = pin!(world.client.get("instance/name"));
        assert!(poll(late.as_mut()).is_pending());
        world.clock.advance(Duration::from_secs(10));
        world.queue.run_all();
        let Poll::Ready(Err(error)) = poll(late.as_mut()) else {
            panic!("it still waits")
        };
        assert_eq!(error.kind(), ErrorKind::Timeout);
        assert_eq!(world.transport.requests().len(), requests);
    }
}
