//! A place of the tree is watched, under any runtime or none, for as long as
//! somebody listens and no longer.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test says with it what it expects")]

mod support;

use std::{
    fs,
    pin::pin,
    sync::{Mutex, MutexGuard, PoisonError, mpsc},
    task::{Context, Waker},
    thread,
    time::Duration,
};

use futures_executor::block_on;
use gce_auth::{ErrorKind, MetadataClient, Watch};
use gce_auth_emulator::{Emulator, Fault};
use support::{client, credentials, emulator, gate::Gate, timed, until};

const KEY: &str = "instance/attributes/key";

/// Threads are counted for the whole process: one test at a time.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    until("the library's threads have ended", || threads() == 0);
    alone
}

/// How many threads of this process are the library's.
fn threads() -> usize {
    let tasks = fs::read_dir("/proc/self/task").unwrap();
    let names = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("comm")).ok());
    names.filter(|name| name.trim_end() == "gce-auth").count()
}

fn with(value: &str) -> (Emulator, MetadataClient) {
    let emulator = Emulator::builder().set(KEY, value).start().unwrap();
    let client = client(&emulator).build().unwrap();
    (emulator, client)
}

fn waits(emulator: &Emulator) {
    until("the server holds a request", || emulator.waiting() == 1);
}

/// Polls `next` once: it begins to wait, and is cancelled.
fn begin(watch: &mut Watch) {
    let mut context = Context::from_waker(Waker::noop());
    let polled = pin!(watch.next()).poll(&mut context);
    assert!(polled.is_pending(), "nothing has changed: {polled:?}");
}

async fn sees_two_changes(emulator: &Emulator, client: &MetadataClient) {
    emulator.set(KEY, "one").unwrap();
    let mut watch = client.watch(KEY);
    assert_eq!(watch.next().await.unwrap().text(), Some("one"));
    for value in ["two", "three"] {
        begin(&mut watch);
        waits(emulator);
        emulator.set(KEY, value).unwrap();
        assert_eq!(watch.next().await.unwrap().text(), Some(value));
    }
}

#[test]
fn changes_are_seen_under_any_runtime_or_none() {
    let _alone = alone();
    let (emulator, client) = with("one");
    let tokio = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    tokio.block_on(sees_two_changes(&emulator, &client));
    smol::block_on(sees_two_changes(&emulator, &client));
    block_on(sees_two_changes(&emulator, &client));
}

#[test]
fn a_blocking_iterator_works_on_its_callers_thread() {
    let _alone = alone();
    let (emulator, client) = with("one");
    let (tell, told) = mpsc::channel();
    thread::scope(|scope| {
        scope.spawn(|| {
            for change in client.watch(KEY).blocking_iter().take(3) {
                tell.send(change.unwrap()).unwrap();
            }
        });
        assert_eq!(told.recv().unwrap().text(), Some("one"));
        for value in ["two", "three"] {
            waits(&emulator);
            assert_eq!(threads(), 0);
            emulator.set(KEY, value).unwrap();
            assert_eq!(told.recv().unwrap().text(), Some(value));
        }
    });
}

#[test]
fn a_value_may_be_deleted_and_come_back() {
    let _alone = alone();
    let (emulator, client) = with("one");
    let mut watch = client.watch(KEY);
    assert_eq!(watch.blocking_next().unwrap().text(), Some("one"));
    begin(&mut watch);
    waits(&emulator);
    emulator.remove(KEY).unwrap();
    assert_eq!(block_on(watch.next()).unwrap().text(), None);
    emulator.set(KEY, "two").unwrap();
    assert_eq!(block_on(watch.next()).unwrap().text(), Some("two"));
}

#[test]
fn a_directory_changes_with_what_is_below() {
    let _alone = alone();
    let (emulator, client) = with("one");
    let mut watch = client.watch("instance/attributes/");
    let first = watch.blocking_next().unwrap();
    assert!(first.value().unwrap().is_json());
    assert!(first.text().unwrap().contains("\"key\":\"one\""));
    begin(&mut watch);
    waits(&emulator);
    emulator.set("instance/attributes/other", "x").unwrap();
    let second = watch.blocking_next().unwrap();
    assert!(second.text().unwrap().contains("\"other\":\"x\""));

    let mut watch = client.watch("instance/attributes");
    assert!(watch.blocking_next().is_ok());
    let error = watch.blocking_next().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidResponse);
    assert!(error.to_string().contains("slash"), "{error}");
}

#[test]
fn what_changed_while_nobody_listened_is_seen() {
    let _alone = alone();
    let (emulator, client) = with("one");
    let mut watch = client.watch(KEY);
    assert!(watch.blocking_next().is_ok());
    for value in ["two", "three"] {
        emulator.set(KEY, value).unwrap();
    }
    assert_eq!(emulator.waiting(), 0);
    let change = watch.blocking_next().unwrap();
    assert_eq!(change.text(), Some("three"));

    // A program that starts again goes on where it was.
    let etag = change.etag().unwrap();
    let again = || client.watch(KEY).last_etag(etag);
    begin(&mut again());
    emulator.set(KEY, "four").unwrap();
    assert_eq!(again().blocking_next().unwrap().text(), Some("four"));
}

#[test]
fn a_timeout_around_a_wait_loses_nothing() {
    let _alone = alone();
    let (emulator, client) = with("one");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut watch = client.watch(KEY);
        assert!(watch.next().await.is_ok());
        for _ in 0..3 {
            let late = tokio::time::timeout(Duration::from_millis(5), watch.next());
            assert!(late.await.is_err(), "nothing has changed");
        }
        waits(&emulator);
        assert_eq!(threads(), 1, "one wait, however often it is begun");
        emulator.set(KEY, "two").unwrap();
        let change = watch.next().await.unwrap();
        assert_eq!(change.text(), Some("two"));
    });
}

#[test]
fn a_server_that_lets_go_is_asked_again_and_nothing_is_told() {
    let _alone = alone();
    let (emulator, client) = with("one");
    let mut watch = client.watch(KEY).hold(Duration::from_secs(1));
    assert!(watch.blocking_next().is_ok());
    begin(&mut watch);
    until("it was asked again", || emulator.request_count(KEY) >= 4);
    emulator.set(KEY, "two").unwrap();
    assert_eq!(block_on(watch.next()).unwrap().text(), Some("two"));
}

#[test]
fn a_dropped_watch_leaves_no_thread_and_no_request() {
    let _alone = alone();
    let (emulator, client) = with("one");
    let mut watch = client.watch(KEY);
    assert!(watch.blocking_next().is_ok());
    assert_eq!(threads(), 0);
    begin(&mut watch);
    waits(&emulator);
    assert_eq!(threads(), 1);
    let ((), took) = timed(|| {
        drop(watch);
        until("its thread has ended", || threads() == 0);
        until("the server is left alone", || emulator.waiting() == 0);
    });
    assert!(took < Duration::from_secs(20), "{took:?}");

    // Also while it waits for a server that is not there.
    let mut watch = client.watch(KEY);
    assert!(watch.blocking_next().is_ok());
    let down = Fault::Status {
        code: 503,
        retry_after: None,
    };
    emulator.fail_next(KEY, usize::MAX, down);
    begin(&mut watch);
    until("it tries", || emulator.request_count(KEY) >= 5);
    drop(watch);
    until("its thread has ended", || threads() == 0);
}

#[test]
fn many_watches_keep_nobody_from_a_token() {
    let _alone = alone();
    let (emulator, client) = with("one");
    let mut watches: Vec<Watch> = (0..20).map(|_| client.watch(KEY)).collect();
    for watch in &mut watches {
        assert!(watch.blocking_next().is_ok());
        begin(watch);
    }
    until("all are held", || emulator.waiting() == 20);
    assert_eq!(threads(), 20);
    assert!(block_on(credentials(&emulator).token()).is_ok());
    assert!(block_on(client.zone()).is_ok());
    emulator.set(KEY, "two").unwrap();
    for watch in &mut watches {
        let change = block_on(watch.next()).unwrap();
        assert_eq!(change.text(), Some("two"));
    }
}

#[test]
fn a_server_may_die_and_another_take_its_place() {
    let _alone = alone();
    let mut gate = Gate::new(9);
    let (emulator, _) = with("one");
    gate.open(emulator.addr());
    let client = MetadataClient::builder()
        .endpoint(gate.address().to_string())
        .build()
        .unwrap();
    let mut watch = client.watch(KEY);
    assert_eq!(watch.blocking_next().unwrap().text(), Some("one"));
    begin(&mut watch);
    waits(&emulator);
    gate.cut();
    until("it waits again", || emulator.request_count(KEY) >= 3);
    gate.shut();
    drop(emulator);
    let emulator = self::emulator();
    emulator.set(KEY, "two").unwrap();
    gate.open(emulator.addr());
    assert_eq!(block_on(watch.next()).unwrap().text(), Some("two"));
}
