//! At most 32 threads for one server, and none while nothing happens.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test says with it what it expects")]

mod support;

use std::{
    fs,
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use futures_executor::block_on;
use gce_auth::{
    Credentials, IdTokenCredentials, MetadataClient, RetryPolicy, executor::WorkKind,
    transport::Limits,
};
use gce_auth_emulator::{Emulator, Fault};
use support::{IDENTITY, TOKEN, client, credentials, emulator, timed, until};

/// As many threads as the library may have for one server.
const MOST: usize = 32;

/// Threads are counted for the whole process: one test at a time.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    gone();
    alone
}

/// The names of the library's threads, shortened by the system.
fn ours() -> Vec<String> {
    let tasks = fs::read_dir("/proc/self/task").unwrap();
    let names = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("comm")).ok());
    let names = names.map(|name| name.trim_end().to_owned());
    names.filter(|name| name.contains("gce-auth")).collect()
}

fn threads() -> usize {
    let names = ours();
    names.iter().filter(|name| *name == "gce-auth").count()
}

fn gone() {
    until("the library's threads have ended", || ours().is_empty());
}

/// Attempts that end soon where nobody answers, and are made once.
fn brief(emulator: &Emulator) -> MetadataClient {
    let mut limits = Limits::new();
    limits.attempt = Duration::from_millis(200);
    client(emulator)
        .limits(limits)
        .retry(RetryPolicy::new().attempts(1))
        .build()
        .unwrap()
}

/// Fifty accounts and fifty audiences.
fn hundred(client: &MetadataClient) -> (Vec<Credentials>, Vec<IdTokenCredentials>) {
    let accounts = (0..50).map(|n| {
        let builder = Credentials::builder().client(client.clone());
        let account = format!("robot-{n}@p.iam");
        builder.service_account(account).build().unwrap()
    });
    let audiences = (0..50).map(|n| {
        let audience = format!("https://service-{n}.example");
        let builder = IdTokenCredentials::builder(audience).client(client.clone());
        builder.build().unwrap()
    });
    (accounts.collect(), audiences.collect())
}

#[test]
fn constructors_and_cached_answers_start_no_thread() {
    let _alone = alone();
    let emulator = emulator();
    let (accounts, audiences) = hundred(&brief(&emulator));
    let copies: Vec<Credentials> = accounts.iter().map(|one| one.with_scopes(["s"])).collect();
    for one in accounts.iter().chain(&copies) {
        assert!(one.cached_token().is_none());
        assert!(!one.status().in_flight);
        drop(one.headers());
    }
    assert!(audiences.iter().all(|one| one.cached_token().is_none()));
    assert_eq!(ours(), [""; 0]);
    assert_eq!(emulator.requests(), []);

    let one = credentials(&emulator);
    one.blocking_token().unwrap();
    assert_eq!(ours(), [""; 0], "a blocking caller works itself");
    for _ in 0..1000 {
        block_on(one.headers()).unwrap();
        assert!(one.cached_headers().is_some());
    }
    assert_eq!(ours(), [""; 0]);
}

#[test]
fn a_hundred_credentials_at_a_server_that_hangs_are_32_threads() {
    let _alone = alone();
    let emulator = emulator();
    emulator.fail_next("/", usize::MAX, Fault::Hang);
    let (accounts, audiences) = hundred(&brief(&emulator));
    for one in &accounts {
        assert!(one.cached_headers().is_none());
    }
    for one in &audiences {
        assert!(one.cached_headers().is_none());
    }
    let mut most = 0;
    let failed = || {
        let accounts = accounts.iter().map(Credentials::status);
        let audiences = audiences.iter().map(IdTokenCredentials::status);
        let all = accounts.chain(audiences);
        all.filter(|status| status.last_error.is_some()).count()
    };
    until("all hundred have failed", || {
        most = most.max(threads());
        failed() == 100
    });
    assert!(most <= MOST, "{most} threads");
    assert!(
        most > 1,
        "{most} threads: somebody waited behind one stranger"
    );
    gone();
    assert_eq!(threads(), 0);

    // The same, waited for.
    emulator.clear_requests();
    let waiting: Vec<_> = accounts.iter().map(Credentials::refresh).collect();
    let watcher = thread::spawn(|| {
        let mut most = 0;
        until("some threads run", || {
            most = most.max(threads());
            most > 1
        });
        until("they have ended", || {
            most = most.max(threads());
            threads() == 0
        });
        most
    });
    let ended = block_on(async {
        let mut ended = 0;
        // All of them are under way before the first is waited for.
        let mut waiting: Vec<_> = waiting.into_iter().map(Box::pin).collect();
        for call in &mut waiting {
            let mut context = std::task::Context::from_waker(std::task::Waker::noop());
            assert!(call.as_mut().poll(&mut context).is_pending());
        }
        for call in waiting {
            ended += usize::from(call.await.is_err());
        }
        ended
    });
    assert_eq!(ended, 50);
    let most = watcher.join().unwrap();
    assert!(most <= MOST, "{most} threads");
    gone();
}

#[test]
fn an_access_token_comes_past_audiences_that_hang() {
    let _alone = alone();
    let emulator = emulator();
    emulator.fail_next(IDENTITY, usize::MAX, Fault::Hang);
    let mut limits = Limits::new();
    limits.attempt = Duration::from_secs(8);
    let slow = client(&emulator)
        .limits(limits)
        .retry(RetryPolicy::new().attempts(1))
        .build()
        .unwrap();
    let (_, audiences) = hundred(&slow);
    for one in &audiences {
        assert!(one.cached_headers().is_none());
    }
    until("as many hang as may", || {
        emulator.request_count(IDENTITY) >= MOST - 1
    });
    let credentials = credentials(&emulator);
    let (token, took) = timed(|| block_on(credentials.token()));
    assert!(token.is_ok());
    assert!(took < Duration::from_secs(6), "{took:?}");
    assert_eq!(emulator.request_count(TOKEN), 1);
    assert!(threads() <= MOST);
    drop(emulator);
    gone();
}

#[test]
fn an_executor_of_the_program_takes_the_place_of_all_threads() {
    let _alone = alone();
    let emulator = emulator();
    let executor = std::sync::Arc::new(Own::default());
    let client = client(&emulator)
        .executor(executor.clone())
        .build()
        .unwrap();
    let credentials = Credentials::builder().client(client.clone()).build();
    let credentials = credentials.unwrap();
    block_on(credentials.headers()).unwrap();
    block_on(client.zone()).unwrap();
    let kinds = executor.0.lock().unwrap().clone();
    assert_eq!(kinds, [WorkKind::AccessToken, WorkKind::Other]);
    assert_eq!(threads(), 0);
}

/// Does the work on threads with another name, and remembers what it was.
#[derive(Debug, Default)]
struct Own(Mutex<Vec<WorkKind>>);

impl gce_auth::executor::Executor for Own {
    fn execute(&self, work: gce_auth::executor::Work) -> Result<(), gce_auth::executor::Work> {
        self.0.lock().unwrap().push(work.kind());
        thread::spawn(move || {
            assert_eq!(threads(), 0);
            work.run();
        });
        Ok(())
    }
}

#[test]
fn a_wait_that_nobody_waits_for_any_more_ends() {
    let _alone = alone();
    let emulator = emulator();
    let refused = Fault::Status {
        code: 403,
        retry_after: None,
    };
    emulator.fail_next("/", usize::MAX, refused);
    let credentials = credentials(&emulator);
    {
        let mut wait = std::pin::pin!(credentials.wait_ready(Duration::from_secs(3600)));
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(wait.as_mut().poll(&mut context).is_pending());
        until("it was refused", || credentials.status().failures > 0);
    }
    gone();
    let asked = emulator.request_count(TOKEN);
    assert!(asked < 5, "{asked} requests");
}

#[test]
fn waiting_until_ready_costs_no_thread_for_each_who_waits() {
    let _alone = alone();
    let emulator = emulator();
    let refused = Fault::Status {
        code: 403,
        retry_after: None,
    };
    emulator.fail_next("/", usize::MAX, refused);
    let (accounts, _) = hundred(&brief(&emulator));
    let mut waiting: Vec<_> = accounts
        .iter()
        .map(|one| Box::pin(one.wait_ready(Duration::from_secs(600))))
        .collect();
    let mut most = 0;
    until("all have asked twice", || {
        for call in &mut waiting {
            let mut context = std::task::Context::from_waker(std::task::Waker::noop());
            assert!(call.as_mut().poll(&mut context).is_pending());
        }
        most = most.max(threads());
        let asked = support::asked(&emulator);
        asked.iter().filter(|path| path.contains("token")).count() >= 100
    });
    // One more sleeps for all who wait.
    assert!(most <= MOST + 1, "{most} threads");
    drop(waiting);
    gone();
}
