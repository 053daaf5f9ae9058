//! Pauses of the process or the machine in the middle of an attempt.

use std::{sync::Arc, time::Duration};

use http::{Request, Response};

use super::scripted::World;
use crate::{
    client::config::MetadataClient,
    io::{
        fake::{HandClock, Reply, ScriptedTransport},
        transport::{Limits, Transport, TransportError, TransportErrorKind},
    },
    values::error::ErrorKind,
};

/// Freezes: an attempt takes an hour of boot time before it fails.
#[derive(Debug)]
struct Freezes {
    clock: Arc<HandClock>,
    then: ScriptedTransport,
    times: std::sync::atomic::AtomicU32,
}

impl Transport for Freezes {
    fn send(
        &self,
        request: Request<Vec<u8>>,
        limits: &Limits,
    ) -> Result<Response<Vec<u8>>, TransportError> {
        use std::sync::atomic::Ordering::SeqCst;
        if self
            .times
            .fetch_update(SeqCst, SeqCst, |n| n.checked_sub(1))
            .is_ok()
        {
            self.clock.advance(Duration::from_secs(3600));
            return Err(TransportError::new(TransportErrorKind::Timeout, "frozen"));
        }
        self.then.send(request, limits)
    }
}

fn freezing(times: u32) -> World {
    let clock = Arc::new(HandClock::at(1_700_000_000));
    let transport = Arc::new(Freezes {
        clock: Arc::clone(&clock),
        then: ScriptedTransport::new([Reply::text("v")]),
        times: times.into(),
    });
    let client = MetadataClient::builder()
        .endpoint("127.0.0.1:1")
        .transport(transport)
        .clock(Arc::clone(&clock) as _)
        .build_without_environment();
    World {
        client,
        transport: Arc::default(),
        clock,
    }
}

#[test]
fn a_pause_is_repeated_and_not_counted() {
    let world = freezing(2);
    assert_eq!(world.ask("instance/name").unwrap(), "v");
    assert!(world.sleeps().is_empty());
}

#[test]
fn a_transport_that_ignores_its_limits_does_not_go_on_for_ever() {
    let error = freezing(u32::MAX).ask("instance/name").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(error.attempts() <= 4, "{error}");
}
