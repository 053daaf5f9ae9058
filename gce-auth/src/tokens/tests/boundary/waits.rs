//! Requests that wait for the look-up of their boundary.

use std::{
    future::Future,
    pin::pin,
    sync::{Arc, Barrier, Condvar, Mutex},
    task::{Context, Poll, Waker},
    thread,
    time::Duration,
};

use http::{HeaderMap, Method, Request, Response, Uri};

use super::{bounded, found, locations, unblocked};
use crate::{
    Credentials,
    io::{
        fake::{HandClock, HandQueue, Reply, ScriptedTransport},
        transport::{Limits, Transport, TransportError},
    },
    task::under_way,
    values::budget::Budget,
    world,
};

/// Credentials with a token, whose requests wait for the look-up.
fn waiting(world: &world::World) -> Credentials {
    let credentials = unblocked(&world.client);
    credentials.block_on_regional_access_boundary();
    credentials
}

/// Answers a look-up when another one comes, or none has for 200 ms.
#[derive(Debug, Default)]
struct Waiting {
    lookups: Mutex<u32>,
    came: Condvar,
}

impl Transport for Waiting {
    fn send(&self, _: Request<Vec<u8>>, _: &Limits) -> Result<Response<Vec<u8>>, TransportError> {
        let mut lookups = self.lookups.lock().unwrap();
        *lookups += 1;
        self.came.notify_all();
        let alone = |lookups: &mut u32| *lookups == 1;
        let limit = Duration::from_millis(200);
        drop(self.came.wait_timeout_while(lookups, limit, alone).unwrap());
        Ok(Response::new(br#"{"encodedLocations":"0xA"}"#.to_vec()))
    }
}

#[test]
fn many_that_wait_for_it_ask_once() {
    let iam = Arc::new(Waiting::default());
    let world = world::World::with([], HandQueue::new(), |builder| {
        builder.transport(Arc::clone(&iam) as _)
    });
    let credentials = waiting(&world);
    let start = Barrier::new(8);
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let uri = Uri::from_static("https://storage.googleapis.com/");
                let mut headers = HeaderMap::new();
                start.wait();
                credentials
                    .blocking_before_request(&Method::GET, &uri, &mut headers)
                    .unwrap();
                assert_eq!(headers["x-allowed-locations"], "0xA");
            });
        }
    });
    assert_eq!(*iam.lookups.lock().unwrap(), 1);
}

/// Answers no look-up before it is told to.
#[derive(Debug, Default)]
struct Hanging {
    state: Mutex<(u32, bool)>,
    changed: Condvar,
}

impl Hanging {
    fn wait_until(&self, done: impl Fn(&(u32, bool)) -> bool) {
        let state = self.state.lock().unwrap();
        let (limit, goes_on) = (Duration::from_secs(20), |state: &mut _| !done(state));
        drop(
            self.changed
                .wait_timeout_while(state, limit, goes_on)
                .unwrap(),
        );
    }

    fn change(&self, change: impl FnOnce(&mut (u32, bool))) {
        change(&mut self.state.lock().unwrap());
        self.changed.notify_all();
    }
}

impl Transport for Hanging {
    fn send(&self, _: Request<Vec<u8>>, _: &Limits) -> Result<Response<Vec<u8>>, TransportError> {
        self.change(|(lookups, _)| *lookups += 1);
        self.wait_until(|(_, released)| *released);
        Ok(Response::new(br#"{"encodedLocations":"0xA"}"#.to_vec()))
    }
}

#[test]
fn a_caller_waits_no_longer_than_it_may_for_the_look_up_of_another() {
    let iam = Arc::new(Hanging::default());
    let carries = Arc::clone(&iam) as Arc<dyn Transport>;
    let credentials = waiting(&world::World::with([], HandQueue::new(), |it| {
        it.transport(carries)
    }));
    let uri = Uri::from_static("https://storage.googleapis.com/");
    thread::scope(|scope| {
        let asks = scope.spawn(|| credentials.0.blocking_ready_boundary(&uri));
        iam.wait_until(|(lookups, _)| *lookups == 1);
        let moment = Budget::new(credentials.0.now(), Duration::from_millis(5));
        under_way::within(&moment, || credentials.0.blocking_ready_boundary(&uri));
        assert!(!asks.is_finished(), "it waited for the look-up");
        iam.change(|(_, released)| *released = true);
    });
    assert_eq!(
        credentials.regional_access_boundary().as_deref(),
        Some("0xA")
    );
    assert_eq!(iam.state.lock().unwrap().0, 1);
}

/// Takes 2 s for each answer.
#[derive(Debug)]
struct Slow(ScriptedTransport, Arc<HandClock>);

impl Transport for Slow {
    fn send(
        &self,
        request: Request<Vec<u8>>,
        limits: &Limits,
    ) -> Result<Response<Vec<u8>>, TransportError> {
        self.1.advance(Duration::from_secs(2));
        self.0.send(request, limits)
    }
}

#[test]
fn a_token_that_the_look_up_needs_takes_its_time_from_it() {
    let clock = Arc::new(HandClock::at(world::START));
    let script = ScriptedTransport::new([Reply::token("t", 3600), found("0xA")]);
    let slow = Arc::new(Slow(script, Arc::clone(&clock)));
    let carries = Arc::clone(&slow) as Arc<dyn Transport>;
    let world = world::World::with([], HandQueue::new(), |it| {
        it.transport(carries).clock(clock)
    });
    let credentials = waiting(&world);
    credentials.set_token(None, None).unwrap();
    credentials
        .0
        .blocking_ready_boundary(&Uri::from_static("https://storage.googleapis.com/"));
    let limits = slow.0.limits();
    assert_eq!(limits.len(), 2);
    assert!(limits[1].attempt <= Duration::from_secs(1), "{limits:?}");
}

#[test]
fn a_look_up_that_no_thread_begins_in_time_is_in_no_ones_way() {
    let world = bounded();
    world.credentials.block_on_regional_access_boundary();
    let asked = world.transport.requests().len();
    let uri = Uri::from_static("https://storage.googleapis.com/");
    let mut headers = HeaderMap::new();
    let mut context = Context::from_waker(Waker::noop());
    {
        let sent = &world.credentials;
        let mut request = pin!(sent.before_request(&Method::GET, &uri, &mut headers));
        assert!(request.as_mut().poll(&mut context).is_pending());
        world.advance(3);
        world.queue.run_all();
        assert!(matches!(request.poll(&mut context), Poll::Ready(Ok(()))));
    }
    assert!(!headers.contains_key("x-allowed-locations"));
    assert_eq!(headers["authorization"], "Bearer t");
    assert_eq!(world.transport.requests().len(), asked, "it was too late");
}

#[test]
fn what_waits_joins_the_look_up_that_is_queued() {
    let world = bounded();
    let asked = world.transport.requests().len();
    world.transport.script([found("0xA")]);
    world.credentials.block_on_regional_access_boundary();
    world.credentials.blocking_headers().unwrap();
    assert_eq!(world.queue.len(), 1);
    assert_eq!(locations(&world).as_deref(), Some("0xA"));
    world.queue.run_all();
    assert_eq!(world.transport.requests().len(), asked + 1);
}
