use std::{
    pin::pin,
    task::{Context, Poll, Waker},
};

use futures_executor::block_on;

use super::*;
use crate::{
    io::{
        fake::{HandClock, HandQueue, Reply, ScriptedTransport},
        transport::TransportErrorKind,
    },
    wire::retry::RetryPolicy,
};

struct World {
    client: MetadataClient,
    transport: Arc<ScriptedTransport>,
    clock: Arc<HandClock>,
    queue: Arc<HandQueue>,
}

fn world(replies: impl IntoIterator<Item = Reply>) -> World {
    world_of(replies, HandQueue::new())
}

fn world_of(replies: impl IntoIterator<Item = Reply>, queue: HandQueue) -> World {
    let transport = Arc::new(ScriptedTransport::new(replies));
    let clock = Arc::new(HandClock::at(1));
    let queue = Arc::new(queue);
    let client = MetadataClient::builder()
        .transport(Arc::clone(&transport) as _)
        .clock(Arc::clone(&clock) as _)
        .executor(Arc::clone(&queue) as _)
        .retry(RetryPolicy::new().jitter(0.0))
        .endpoint("metadata")
        .build_without_environment();
    World {
        client,
        transport,
        clock,
        queue,
    }
}

impl World {
    /// What was asked for, below the path.
    fn asked(&self) -> Vec<String> {
        let requests = self.transport.requests();
        let query = |query: &str| format!("?{query}");
        let asked = requests.iter().map(|request| {
            assert!(
                Interrupt::of(request).is_some(),
                "it cannot be broken off: {request:?}"
            );
            request.uri().query().map_or_else(String::new, query)
        });
        asked.collect()
    }

    fn slept(&self) -> Duration {
        self.clock.take_sleeps().iter().sum()
    }
}

/// A text, with its ETag if it has one.
fn there(etag: &str, text: &str) -> Reply {
    let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let mut headers = vec![
        header("Metadata-Flavor", "Google"),
        header("Content-Type", "application/text"),
    ];
    if !etag.is_empty() {
        headers.push(header("ETag", etag));
    }
    Reply::Raw(200, headers, text.to_owned())
}

fn text(watch: &mut Watch) -> Option<String> {
    let change = watch.blocking_next().unwrap();
    change.text().map(str::to_owned)
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

#[test]
fn a_hold_without_end_is_one() {
    let world = world([there("1", "a"), there("2", "b")]);
    let mut watch = world.client.watch("x").hold(Duration::MAX);
    assert_eq!(text(&mut watch), some("a"));
    assert_eq!(text(&mut watch), some("b"));
    assert_eq!(world.transport.limits()[1].attempt, Duration::MAX);
}

#[test]
fn the_value_comes_first_and_then_what_it_changes_to() {
    let world = world([there("a1", "one"), there("a1", "one"), there("a2", "two")]);
    let mut watch = world.client.watch("instance/tags").hold(Duration::ZERO);
    assert_eq!(text(&mut watch), some("one"));
    let change = watch.blocking_next().unwrap();
    assert_eq!((change.text(), change.etag()), (Some("two"), Some("a2")));
    let waits = "?wait_for_change=true&last_etag=a1&timeout_sec=1";
    assert_eq!(world.asked(), ["", waits, waits]);
    let limits = world.transport.limits();
    assert_eq!(limits[0], crate::io::transport::Limits::new());
    let held = Duration::from_secs(11);
    assert_eq!((limits[1].attempt, limits[1].first_byte), (held, held));
    assert_eq!(limits[1].connect, limits[0].connect);
}

#[test]
fn a_directory_is_watched_with_all_below_it() {
    let world = world([there("a", "{}"), there("b", "[]")]);
    let mut watch = world.client.watch("instance/disks/");
    assert!(watch.blocking_next().is_ok() && watch.blocking_next().is_ok());
    let mut named = world.client.watch("instance/disks").recursive(true);
    assert!(named.blocking_next().is_ok());
    assert_eq!(
        world.asked(),
        [
            "?recursive=true",
            "?recursive=true&wait_for_change=true&last_etag=a&timeout_sec=60",
            "?recursive=true",
        ]
    );
}

#[test]
fn a_deleted_value_is_none_and_the_watch_goes_on() {
    let gone = Reply::status(404);
    let world = world([
        there("a", "one"),
        gone.clone(),
        gone.clone(),
        gone,
        there("b", "two"),
    ]);
    let mut watch = world.client.watch("instance/attributes/key");
    assert_eq!(text(&mut watch), some("one"));
    assert_eq!(text(&mut watch), None);
    assert_eq!(world.slept(), Duration::ZERO);
    assert_eq!(text(&mut watch), some("two"));
    let slept = world.slept();
    assert!(
        slept > Duration::from_secs(2) && slept < Duration::from_secs(4),
        "{slept:?}"
    );
    let asked = world.asked();
    assert_eq!(asked[2..], ["", "", ""]);
}

#[test]
fn what_never_was_there_is_none_at_once() {
    let world = world([Reply::status(404), there("a", "new")]);
    let mut watch = world.client.watch("instance/attributes/key");
    assert_eq!(text(&mut watch), None);
    assert_eq!(text(&mut watch), some("new"));
}

#[test]
fn an_outage_is_not_seen_once_there_was_an_answer() {
    let mut replies = vec![there("a", "one")];
    replies.extend((0..20).map(|_| Reply::status(503)));
    replies.extend([TransportErrorKind::Connect, TransportErrorKind::Timeout].map(Reply::Broken));
    replies.push(there("b", "two"));
    let world = world(replies);
    let mut watch = world.client.watch("instance/tags");
    assert_eq!(text(&mut watch), some("one"));
    assert_eq!(text(&mut watch), some("two"));
    assert_eq!(world.asked().len(), 24);
    // 100 ms and twice as long each time, up to 3 s.
    assert_eq!(world.slept(), Duration::from_millis(3_100 + 17 * 3_000));
}

#[test]
fn the_first_value_is_as_hard_to_get_as_any() {
    let world = world([Reply::status(503)]);
    let mut watch = world.client.watch("instance/tags");
    let error = watch.blocking_next().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.attempts() > 5, "{error}");
    let slept = world.slept();
    assert!(slept < Duration::from_secs(10), "{slept:?}");
    // The next one begins with a wait.
    world.transport.script([there("a", "one")]);
    assert_eq!(text(&mut watch), some("one"));
    assert_eq!(world.slept(), Duration::from_millis(100));
}

#[test]
fn what_does_not_pass_is_told_and_does_not_end_the_watch() {
    let world = world([
        there("a", "one"),
        Reply::status(403),
        Reply::status(400),
        there("b", "two"),
    ]);
    let mut watch = world.client.watch("instance/disks");
    assert_eq!(text(&mut watch), some("one"));
    let error = watch.blocking_next().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Forbidden);
    let error = watch.blocking_next().unwrap_err();
    assert!(error.to_string().contains("slash"), "{error}");
    assert_eq!(world.slept(), Duration::from_millis(100));
    assert_eq!(text(&mut watch), some("two"));
    assert_eq!(world.slept(), Duration::from_millis(200));
}

#[test]
fn a_server_that_asks_for_time_is_given_some() {
    let slow = |seconds: &str| {
        let headers = vec![("Retry-After".to_owned(), seconds.to_owned())];
        Reply::Raw(429, headers, String::new())
    };
    let world = world([
        there("a", "one"),
        slow("7"),
        slow("99999999999"),
        there("b", "two"),
    ]);
    let mut watch = world.client.watch("instance/tags");
    assert_eq!(text(&mut watch), some("one"));
    assert_eq!(text(&mut watch), some("two"));
    assert_eq!(world.slept(), Duration::from_secs(67));
}

#[test]
fn a_server_that_holds_nothing_is_not_asked_without_pause() {
    let mut replies: Vec<Reply> = (0..5).map(|_| there("", "one")).collect();
    replies.push(there("", "two"));
    let world = world(replies);
    let mut watch = world.client.watch("instance/tags");
    assert_eq!(text(&mut watch), some("one"));
    assert_eq!(text(&mut watch), some("two"));
    let slept = world.slept();
    assert!(slept > Duration::from_secs(9), "{slept:?}");
    let waits = "?wait_for_change=true&timeout_sec=60";
    assert_eq!(world.asked()[1..], [waits; 5]);
}

#[test]
fn a_new_name_for_the_same_value_is_no_change() {
    let world = world([there("a", "one"), there("b", "one"), there("c", "two")]);
    let mut watch = world.client.watch("instance/tags");
    assert_eq!(text(&mut watch), some("one"));
    assert_eq!(text(&mut watch), some("two"));
    assert!(world.asked()[2].contains("last_etag=b"));
}

#[test]
fn a_watch_goes_on_where_an_earlier_one_was() {
    let world = world([there("a", "one"), there("b", "two")]);
    let mut watch = world.client.watch("instance/tags").last_etag("a");
    assert_eq!(text(&mut watch), some("two"));
    assert!(world.asked()[0].contains("last_etag=a"));
    world.transport.script([there("c", "three")]);
    let mut watch = world.client.watch("instance/tags").last_etag("a");
    assert_eq!(text(&mut watch), some("three"));
}

#[test]
fn what_cannot_be_watched_is_not_asked_for() {
    let world = world([there("a", "x")]);
    for path in [
        "../x",
        "a?b=c",
        "instance/service-accounts/default/token",
        "instance/service-accounts/default/identity",
    ] {
        let error = world.client.watch(path).blocking_next().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{path}");
    }
    assert!(world.transport.requests().is_empty());
}

#[test]
fn a_cancelled_wait_is_taken_up_by_the_next() {
    let world = world([there("a", "one"), there("b", "two")]);
    let mut watch = world.client.watch("instance/tags");
    let mut context = Context::from_waker(Waker::noop());
    for _ in 0..3 {
        let mut next = pin!(watch.next());
        assert!(next.as_mut().poll(&mut context).is_pending());
    }
    assert_eq!(world.queue.len(), 1, "one wait, however often it is begun");
    assert!(world.transport.requests().is_empty());
    assert!(world.queue.run_next());
    let Poll::Ready(Ok(change)) = pin!(watch.next()).poll(&mut context) else {
        unreachable!("it was seen");
    };
    assert_eq!(change.text(), Some("one"));
    assert_eq!(world.transport.requests().len(), 1);

    // A blocking caller does what was not begun.
    assert!(pin!(watch.next()).poll(&mut context).is_pending());
    assert_eq!(text(&mut watch), some("two"));
    assert_eq!(world.queue.run_all(), 1);
    assert_eq!(world.transport.requests().len(), 2);
}

#[test]
fn a_limited_wait_loses_nothing() {
    let world = world([there("a", "one")]);
    let mut watch = world.client.watch("instance/tags");
    let soon = Duration::from_millis(1);
    assert_eq!(watch.blocking_next_within(soon).unwrap(), None);
    assert!(world.queue.run_next());
    let change = watch.blocking_next_within(soon).unwrap().unwrap();
    assert_eq!(change.text(), Some("one"));
}

#[test]
fn a_change_shows_what_it_is_of() {
    let world = world([there("e1", "one")]);
    let change = world.client.watch("x").blocking_next().unwrap();
    let shown = format!("{change:?}");
    assert!(
        shown.contains("MetadataChange") && shown.contains("e1"),
        "{shown}"
    );
}

#[test]
fn a_dropped_watch_asks_nobody() {
    let world = world([there("a", "one")]);
    let mut watch = world.client.watch("instance/tags");
    let mut context = Context::from_waker(Waker::noop());
    assert!(pin!(watch.next()).poll(&mut context).is_pending());
    drop(watch);
    assert_eq!(world.queue.run_all(), 1);
    assert!(world.transport.requests().is_empty());
}

#[test]
fn without_a_thread_an_async_wait_fails_and_a_blocking_one_works() {
    let world = world_of([there("a", "one")], HandQueue::refusing());
    let mut watch = world.client.watch("instance/tags");
    let error = block_on(watch.next()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().contains("thread"), "{error}");
    assert_eq!(text(&mut watch), some("one"));
}

#[test]
fn a_transport_that_panics_is_an_error_of_the_wait() {
    let world = world([Reply::Panic, there("a", "one")]);
    let mut watch = world.client.watch("instance/tags");
    let mut context = Context::from_waker(Waker::noop());
    assert!(pin!(watch.next()).poll(&mut context).is_pending());
    let run = std::panic::AssertUnwindSafe(|| world.queue.run_next());
    assert!(std::panic::catch_unwind(run).is_err());
    assert!(block_on(watch.next()).is_err());
    assert_eq!(text(&mut watch), some("one"));
}

#[test]
fn an_endless_iterator_gives_values_and_errors() {
    let world = world([there("a", "one"), Reply::status(403), there("b", "two")]);
    let mut watch = world.client.watch("instance/tags");
    let seen: Vec<_> = watch.blocking_iter().take(3).collect();
    assert!(seen[0].is_ok() && seen[1].is_err() && seen[2].is_ok());
    let shown = format!("{watch:?} {:?}", seen[0]);
    assert!(shown.contains("instance/tags") && !shown.contains("one"));
}

#[test]
fn a_watch_whose_work_is_dropped_hears_of_it() {
    let world = world_of([there("a", "one")], HandQueue::dropping());
    let mut watch = world.client.watch("instance/tags");
    let polled = pin!(watch.next()).poll(&mut Context::from_waker(Waker::noop()));
    let Poll::Ready(Err(error)) = polled else {
        panic!("nobody will ever end this wait")
    };
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(text(&mut watch), some("one"), "a blocking caller can");
}
