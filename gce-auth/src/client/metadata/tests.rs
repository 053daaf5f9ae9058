mod impostors;
mod pauses;
mod scripted;

use std::{sync::Arc, time::Duration};

use self::scripted::{World, world};
use super::*;
use crate::{
    client::config::MetadataClient,
    io::{
        fake::{HandClock, Reply, ScriptedTransport},
        interrupt::Interrupt,
        transport::{Transport, TransportErrorKind},
    },
    values::error::ErrorKind,
    wire::request::{self, MetadataPath, Query},
    world::Folder,
};

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

#[test]
fn where_this_is_plainly_elsewhere_one_quick_attempt_tells() {
    let folder = Folder::new();
    let file = folder.write("dmi", "Precision 5520\n");
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
    let error = asked.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotOnGce);
    assert!(error.to_string().contains("Precision 5520"), "{error}");
    assert!(error.hint().unwrap().contains("GCE_METADATA_HOST"));
    assert_eq!(world.asked(), 1);
    assert!(world.transport.limits()[0].attempt < Duration::from_secs(1));

    // Another cloud's server at the same address is no evidence to the contrary.
    folder.write("dmi", "HVM domU\n");
    world
        .transport
        .script([Reply::Raw(401, vec![], "Unauthorized".into())]);
    let asked = world.ask("instance/name");
    assert_eq!(asked.unwrap_err().kind(), ErrorKind::NotOnGce);
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

#[test]
fn what_no_caller_waits_for_is_not_asked() {
    let world = world([Reply::text("value")]);
    let config = &*world.client.0;
    let path = MetadataPath::new("instance/name").unwrap();
    let mut request = request::value(config.endpoint().unwrap(), &path, &Query::default()).unwrap();
    let interrupt = Interrupt::new();
    request.extensions_mut().insert(interrupt.clone());
    let fetch = || {
        fetch(config, &mut config.budget(), &request, |answer, _| {
            answer.text().map(str::to_owned)
        })
    };
    assert_eq!(fetch().unwrap(), "value");
    interrupt.raise();
    assert_eq!(fetch().unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(world.asked(), 1);
}

#[test]
fn an_error_says_where_to_look_as_far_as_that_is_known() {
    let running = "is the metadata server at this address running";
    let by_address = "name the server by its address";
    for (reply, hint) in [
        (Reply::Broken(TransportErrorKind::Resolve), Some(by_address)),
        (Reply::Broken(TransportErrorKind::Connect), Some(running)),
        (Reply::Broken(TransportErrorKind::Timeout), Some(running)),
        // It was reached, and has said why.
        (Reply::status(503), None),
    ] {
        let said = format!("{reply:?}");
        let error = world([reply]).ask("instance/name").unwrap_err();
        let told = error.hint().unwrap();
        assert_eq!(
            told.contains(by_address),
            hint == Some(by_address),
            "{said}: {told}"
        );
        assert_eq!(
            told.contains(running),
            hint == Some(running),
            "{said}: {told}"
        );
    }
}

#[test]
#[cfg(feature = "tls")]
fn on_google_cloud_a_server_that_cannot_be_reached_may_be_behind_a_firewall() {
    for kind in [TransportErrorKind::Resolve, TransportErrorKind::Connect] {
        let client = MetadataClient::builder()
            .transport(Arc::new(ScriptedTransport::new([Reply::Broken(kind)])))
            .clock(Arc::new(HandClock::at(1)))
            .dmi_product_name_file("/nonexistent")
            .build_in(&crate::io::env::Environment {
                serverless: Some("K_SERVICE"),
                ..Default::default()
            });
        let error = client.blocking_get("instance/name").unwrap_err();
        assert!(error.hint().unwrap().contains("firewall"), "{error}");
    }
}
