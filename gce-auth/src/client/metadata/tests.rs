use std::{sync::Arc, time::Duration};

use http::{Request, Response};

use super::*;
use crate::{
    client::config::MetadataClient,
    io::{
        fake::{HandClock, Reply, ScriptedTransport},
        transport::{Limits, Transport, TransportError, TransportErrorKind},
    },
    values::error::ErrorKind,
    wire::{
        request::{self, MetadataPath, Query},
        retry::RetryPolicy,
    },
};

struct World {
    client: MetadataClient,
    transport: Arc<ScriptedTransport>,
    clock: Arc<HandClock>,
}

fn world(replies: impl IntoIterator<Item = Reply>) -> World {
    let transport = Arc::new(ScriptedTransport::new(replies));
    let clock = Arc::new(HandClock::at(1_700_000_000));
    let client = MetadataClient::builder()
        .endpoint("127.0.0.1:1")
        .transport(Arc::clone(&transport) as Arc<dyn Transport>)
        .clock(Arc::clone(&clock) as _)
        .retry(RetryPolicy::new().jitter(0.0))
        .build_without_environment();
    World {
        client,
        transport,
        clock,
    }
}

impl World {
    fn ask(&self, path: &str) -> Result<String, Error> {
        let config = &*self.client.0;
        let path = MetadataPath::new(path).unwrap();
        let request = request::value(config.endpoint().unwrap(), &path, &Query::default()).unwrap();
        let mut budget = config.budget();
        fetch(config, &mut budget, &request, |answer, _| {
            answer.text().map(str::to_owned)
        })
    }

    fn asked(&self) -> usize {
        self.transport.requests().len()
    }

    fn sleeps(&self) -> Vec<u128> {
        self.clock
            .take_sleeps()
            .iter()
            .map(Duration::as_millis)
            .collect()
    }
}

#[test]
fn transient_failures_are_repeated() {
    let world = world([
        Reply::Broken(TransportErrorKind::Connect),
        Reply::Broken(TransportErrorKind::Timeout),
        Reply::status(503),
        Reply::status(429),
        Reply::text("value"),
    ]);
    assert_eq!(world.ask("instance/name").unwrap(), "value");
    assert_eq!(world.asked(), 5);
    assert_eq!(world.sleeps(), [100, 200, 400, 800]);
}

#[test]
fn plain_refusals_are_final_after_one_attempt() {
    for (reply, kind) in [
        (Reply::status(404), ErrorKind::NotFound),
        (Reply::status(403), ErrorKind::Forbidden),
        (Reply::status(400), ErrorKind::InvalidResponse),
        (
            Reply::Raw(200, vec![], "x".into()),
            ErrorKind::NotMetadataServer,
        ),
        (
            Reply::Raw(302, vec![], String::new()),
            ErrorKind::NotMetadataServer,
        ),
        (
            Reply::Broken(TransportErrorKind::Protocol),
            ErrorKind::InvalidResponse,
        ),
        (
            Reply::Broken(TransportErrorKind::TooLarge),
            ErrorKind::InvalidResponse,
        ),
        (Reply::Broken(TransportErrorKind::Tls), ErrorKind::Tls),
    ] {
        let world = world([reply]);
        let error = world.ask("instance/name").unwrap_err();
        assert_eq!((error.kind(), error.attempts()), (kind, 1));
        assert!(
            error
                .request()
                .unwrap()
                .ends_with("/computeMetadata/v1/instance/name")
        );
    }
}

#[test]
fn the_budget_ends_it_and_the_last_failure_is_told() {
    let world = world([Reply::status(503)]);
    let error = world.ask("instance/name").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(error.status(), Some(503));
    let total: u128 = world.sleeps().iter().sum();
    assert!(total <= 10_000, "{total}");
    assert_eq!(error.attempts() as usize, world.asked());
    assert!(world.asked() <= 9, "{}", world.asked());
}

#[test]
fn silence_in_the_last_blink_does_not_hide_what_went_wrong() {
    let mut replies = vec![Reply::status(503); 7];
    replies.push(Reply::Broken(TransportErrorKind::Timeout));
    let cut_short = world(replies);
    let error = cut_short.ask("instance/name").unwrap_err();
    assert_eq!(error.attempts(), 8, "{error}");
    assert!(cut_short.transport.limits()[7].attempt < Duration::from_secs(1));
    assert_eq!(
        (error.kind(), error.status()),
        (ErrorKind::Unavailable, Some(503))
    );

    let silent = world([
        Reply::status(503),
        Reply::Broken(TransportErrorKind::Timeout),
    ]);
    let error = silent.ask("instance/name").unwrap_err();
    assert_eq!((error.kind(), error.status()), (ErrorKind::Timeout, None));
}

#[test]
fn attempts_get_what_is_left_of_the_budget() {
    let world = world([Reply::status(503)]);
    let _ = world.ask("instance/name");
    let limits = world.transport.limits();
    assert_eq!(limits[0].attempt, Duration::from_secs(3));
    assert!(limits.last().unwrap().attempt < Duration::from_secs(3));
}

#[test]
fn retry_after_is_waited_for_if_there_is_time() {
    let after = |seconds: &str| {
        Reply::Raw(
            429,
            vec![("Retry-After".into(), seconds.into())],
            String::new(),
        )
    };
    let soon = world([after("2"), Reply::text("v")]);
    assert_eq!(soon.ask("instance/name").unwrap(), "v");
    assert_eq!(soon.sleeps(), [2000]);
    let never = world([after("60"), Reply::text("v")]);
    let error = never.ask("instance/name").unwrap_err();
    assert_eq!(
        (error.kind(), error.attempts()),
        (ErrorKind::RateLimited, 1)
    );
    assert!(never.sleeps().is_empty());
}

#[test]
fn a_slash_is_added_once() {
    let moved = |location: &str| {
        Reply::Raw(
            301,
            vec![
                ("Metadata-Flavor".into(), "Google".into()),
                ("Location".into(), location.into()),
            ],
            String::new(),
        )
    };
    let target = "http://127.0.0.1:1/computeMetadata/v1/instance/";
    let good = world([moved(target), Reply::text("id\n")]);
    assert_eq!(good.ask("instance").unwrap(), "id\n");
    assert_eq!(good.transport.requests()[1].uri(), target);
    let again = world([moved(target), moved(&format!("{target}/"))]);
    assert_eq!(
        again.ask("instance").unwrap_err().kind(),
        ErrorKind::NotMetadataServer
    );
    let elsewhere = world([moved("http://elsewhere/computeMetadata/v1/instance/")]);
    elsewhere.ask("instance").unwrap_err();
    let hosts = elsewhere.transport.requests();
    assert!(
        hosts
            .iter()
            .all(|request| request.uri().host() == Some("127.0.0.1"))
    );
}

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

#[test]
fn where_this_is_plainly_elsewhere_one_quick_attempt_tells() {
    let file = std::env::temp_dir().join(format!("gce-auth-dmi-{}", std::process::id()));
    std::fs::write(&file, "Precision 5520\n").unwrap();
    let transport = Arc::new(ScriptedTransport::new([Reply::Broken(
        TransportErrorKind::Timeout,
    )]));
    let client = MetadataClient::builder()
        .transport(Arc::clone(&transport) as Arc<dyn Transport>)
        .dmi_product_name_file(&file)
        .build_without_environment();
    let world = World {
        client,
        transport,
        clock: Arc::new(HandClock::at(0)),
    };
    let asked = world.ask("instance/name");
    std::fs::remove_file(&file).unwrap();
    let error = asked.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotOnGce);
    assert!(error.to_string().contains("Precision 5520"), "{error}");
    assert!(error.hint().unwrap().contains("GCE_METADATA_HOST"));
    assert_eq!(world.asked(), 1);
    assert!(world.transport.limits()[0].attempt < Duration::from_secs(1));

    // Another cloud's server at the same address is no evidence to the contrary.
    std::fs::write(&file, "HVM domU\n").unwrap();
    world
        .transport
        .script([Reply::Raw(401, vec![], "Unauthorized".into())]);
    let asked = world.ask("instance/name");
    std::fs::remove_file(&file).unwrap();
    assert_eq!(asked.unwrap_err().kind(), ErrorKind::NotOnGce);
}

/// An answer without a flavor, which comes with these headers.
fn plain(status: u16, headers: &[(&str, &str)]) -> Reply {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    Reply::Raw(
        status,
        headers.iter().map(owned).collect(),
        "no such page".into(),
    )
}

#[test]
fn a_refusal_counts_only_if_a_metadata_server_says_it() {
    let root = plain(200, &[("Metadata-Flavor", "Google")]);
    for status in [400, 401, 403, 404, 405, 412] {
        let impostor = world([plain(status, &[("Server", "nginx")])]);
        let error = impostor.ask("universe/universe-domain").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotMetadataServer, "{status}");
        assert_eq!((error.status(), error.attempts()), (Some(status), 1));
        assert!(error.request().unwrap().ends_with("/universe-domain"));
        let asked = impostor.transport.requests();
        assert_eq!((asked.len(), asked[1].uri().path()), (2, "/"));

        // Behind a proxy that hides all but what it lets through.
        let concealed = world([plain(status, &[]), root.clone(), plain(404, &[])]);
        let error = concealed.ask("instance/name").unwrap_err();
        assert_ne!(error.kind(), ErrorKind::NotMetadataServer, "{status}");
        assert_eq!((error.status(), error.attempts()), (Some(status), 1));
        let error = concealed.ask("instance/name").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert_eq!(concealed.asked(), 3, "it has proven what it is");

        for server in [
            "Metadata Server for VM",
            "GKE Metadata Server",
            "Metadata Server for Serverless",
        ] {
            let google = world([plain(status, &[("Server", server)])]);
            let error = google.ask("instance/name").unwrap_err();
            assert_ne!(error.kind(), ErrorKind::NotMetadataServer, "{server}");
            assert_eq!(google.asked(), 1);
        }
    }
}

#[test]
fn an_impostor_has_no_missing_value() {
    let impostor = world([plain(404, &[])]);
    let client = &impostor.client;
    for error in [
        client.blocking_universe_domain().unwrap_err(),
        client
            .request("instance/attributes/x")
            .blocking_send_optional()
            .unwrap_err(),
        client.blocking_account_info("default").unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::NotMetadataServer, "{error}");
    }
}

#[test]
fn whoever_says_that_it_passes_is_asked_again() {
    for status in [408, 429, 500, 503] {
        let world = world([plain(status, &[]), Reply::text("v")]);
        assert_eq!(world.ask("instance/name").unwrap(), "v", "{status}");
        assert_eq!(world.asked(), 2);
    }
    // Also where it is to prove what it is.
    let root = plain(200, &[("Metadata-Flavor", "Google")]);
    let busy = world([plain(404, &[]), plain(503, &[]), root]);
    let error = busy.ask("instance/name").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(busy.asked(), 3);
}

#[test]
fn a_method_that_the_server_does_not_know_is_not_tried_again() {
    let world = world([Reply::status(501)]);
    let error = world.ask("instance/name").unwrap_err();
    assert_eq!(
        (error.kind(), error.attempts()),
        (ErrorKind::InvalidResponse, 1)
    );
    assert!(!error.is_retryable());
}

#[test]
fn a_post_that_may_have_arrived_is_not_sent_again() {
    let broken = Reply::Broken;
    for failure in [
        broken(TransportErrorKind::Closed),
        broken(TransportErrorKind::Timeout),
        Reply::status(503),
        Reply::status(429),
    ] {
        let lost = world([failure.clone(), Reply::text("done")]);
        let post = |world: &World| world.client.request("x").method(http::Method::POST);
        let error = post(&lost).blocking_send().unwrap_err();
        assert_eq!((error.attempts(), lost.asked()), (1, 1), "{failure:?}");
        assert!(error.is_retryable(), "for the program to decide");
        // A repeated PUT changes nothing.
        let put = world([failure, Reply::text("done")]);
        let request = put.client.request("x").method(http::Method::PUT);
        let _ = request.blocking_send();
        assert_eq!(put.asked(), 2);
    }
    let refused = world([broken(TransportErrorKind::Connect), Reply::text("done")]);
    let request = refused.client.request("x").method(http::Method::POST);
    let _ = request.blocking_send();
    assert_eq!(refused.asked(), 2, "it cannot have arrived");
}
