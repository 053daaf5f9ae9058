//! Any caller: every runtime, no runtime, threads, and many of them at once.

#![allow(clippy::unwrap_used, reason = "a test says with it what it expects")]

mod support;

use std::{
    future::Future,
    pin::pin,
    sync::{Arc, Barrier, OnceLock},
    task::{Context, Poll, Waker},
    thread,
    time::Duration,
};

use gce_auth::{
    AccessToken, Credentials, Error, ErrorKind, IdTokenCredentials,
    executor::{Executor, Work},
};
use gce_auth_emulator::{Emulator, Fault};
use support::{IDENTITY, TOKEN, client, credentials, emulator, timed, until};
use tokio::runtime::{Builder, Runtime};

/// So long that all who come meanwhile find the flight under way.
const LATE: Duration = Duration::from_millis(400);

fn many_threads() -> Runtime {
    Builder::new_multi_thread().enable_all().build().unwrap()
}

fn one_thread() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// An emulator whose first token comes late.
fn slow() -> Emulator {
    let emulator = emulator();
    emulator.fail_next(TOKEN, 1, Fault::Delay(LATE));
    emulator
}

fn one_request(emulator: &Emulator) {
    assert_eq!(emulator.request_count(TOKEN), 1);
}

fn is_asked(emulator: &Emulator) {
    until("the token is asked for", || {
        emulator.request_count(TOKEN) == 1
    });
}

fn all_the_same(tokens: &[AccessToken]) {
    assert!(tokens.iter().all(|token| *token == tokens[0]));
}

#[test]
fn tokio_with_many_threads() {
    let emulator = emulator();
    let credentials = credentials(&emulator);
    let runtime = many_threads();
    let token = runtime.block_on(async {
        let credentials = credentials.clone();
        let task = tokio::spawn(async move { credentials.token().await });
        task.await.unwrap().unwrap()
    });
    assert_eq!(credentials.cached_token(), Some(token));
    one_request(&emulator);
}

#[test]
fn tokio_with_one_thread_goes_on_with_other_work_meanwhile() {
    let emulator = slow();
    let credentials = credentials(&emulator);
    one_thread().block_on(async {
        let (other, mut waiting) = (tokio::sync::Notify::new(), 0);
        let fetch = async {
            let token = credentials.token().await;
            other.notify_one();
            token
        };
        let work = async {
            while tokio::time::timeout(Duration::from_millis(5), other.notified())
                .await
                .is_err()
            {
                waiting += 1;
            }
        };
        let (token, ()) = tokio::join!(fetch, work);
        assert!(token.is_ok());
        assert!(waiting > 10, "the only thread was blocked");
    });
    one_request(&emulator);
}

#[test]
fn smol() {
    let emulator = emulator();
    let credentials = credentials(&emulator);
    let spawned = smol::spawn({
        let credentials = credentials.clone();
        async move { credentials.token().await }
    });
    let token = smol::block_on(spawned).unwrap();
    assert_eq!(smol::block_on(credentials.token()).unwrap(), token);
    one_request(&emulator);
}

#[test]
fn an_executor_that_is_only_a_loop() {
    let emulator = emulator();
    let credentials = credentials(&emulator);
    let token = futures_executor::block_on(credentials.token()).unwrap();
    assert_eq!(credentials.blocking_token().unwrap(), token);
    one_request(&emulator);
}

#[test]
fn a_plain_thread() {
    let emulator = emulator();
    let credentials = credentials(&emulator);
    let token = thread::spawn(move || credentials.blocking_token());
    assert!(token.join().unwrap().is_ok());
    one_request(&emulator);
}

#[test]
fn all_kinds_of_callers_on_one_flight() {
    let emulator = slow();
    let credentials = credentials(&emulator);
    let tokens: Vec<AccessToken> = thread::scope(|scope| {
        let credentials = &credentials;
        let callers: Vec<thread::ScopedJoinHandle<'_, Result<AccessToken, Error>>> = vec![
            scope.spawn(|| many_threads().block_on(credentials.token())),
            scope.spawn(|| one_thread().block_on(credentials.token())),
            scope.spawn(|| smol::block_on(credentials.token())),
            scope.spawn(|| futures_executor::block_on(credentials.token())),
            scope.spawn(|| credentials.blocking_token()),
        ];
        let joined = callers.into_iter().map(|caller| caller.join().unwrap());
        joined.collect::<Result<_, _>>().unwrap()
    });
    all_the_same(&tokens);
    one_request(&emulator);
}

#[test]
fn a_thousand_tasks_and_threads_cold_are_one_request() {
    let emulator = slow();
    let credentials = credentials(&emulator);
    let runtime = many_threads();
    let threads = 32;
    let start = Barrier::new(threads + 1);
    let tokens: Vec<AccessToken> = thread::scope(|scope| {
        let callers: Vec<_> = (0..threads)
            .map(|_| {
                scope.spawn(|| {
                    start.wait();
                    credentials.blocking_token().unwrap()
                })
            })
            .collect();
        start.wait();
        let tasks: Vec<_> = (0..1000)
            .map(|n| {
                let credentials = credentials.clone();
                runtime.spawn(async move {
                    if n % 2 == 0 {
                        tokio::task::yield_now().await;
                    }
                    credentials.token().await
                })
            })
            .collect();
        let tasks = runtime.block_on(async {
            let mut tokens = Vec::new();
            for task in tasks {
                tokens.push(task.await.unwrap().unwrap());
            }
            tokens
        });
        let threads = callers.into_iter().map(|caller| caller.join().unwrap());
        tasks.into_iter().chain(threads).collect()
    });
    assert_eq!(tokens.len(), 1000 + threads);
    all_the_same(&tokens);
    one_request(&emulator);
}

#[test]
fn a_thousand_tasks_share_one_failure() {
    let emulator = emulator();
    let gone = Fault::Status {
        code: 404,
        retry_after: None,
    };
    let nobody = "instance/service-accounts/nobody@p.iam/token";
    emulator.fail_next(nobody, usize::MAX, gone);
    let credentials = credentials(&emulator)
        .with_service_account("nobody@p.iam")
        .unwrap();
    let fail = async {
        let tasks: Vec<_> = (0..1000)
            .map(|_| {
                let credentials = credentials.clone();
                tokio::spawn(async move { credentials.headers().await.is_err() })
            })
            .collect();
        let mut failed = 0;
        for task in tasks {
            failed += usize::from(task.await.unwrap());
        }
        failed
    };
    let (failed, took) = timed(|| many_threads().block_on(fail));
    assert_eq!(failed, 1000);
    // The error is shared for a second.
    let seconds = usize::try_from(took.as_secs()).unwrap();
    assert!(emulator.request_count(nobody) <= 1 + seconds, "{took:?}");
}

#[test]
fn a_runtime_that_is_dropped_loses_nothing_and_another_gets_the_token() {
    let emulator = slow();
    let credentials = credentials(&emulator);
    for runtime in [many_threads(), one_thread()] {
        let task = runtime.spawn({
            let credentials = credentials.clone();
            async move { credentials.token().await }
        });
        // One turn, in which the task gets to its wait.
        runtime.block_on(tokio::task::yield_now());
        is_asked(&emulator);
        runtime.shutdown_background();
        assert!(
            futures_executor::block_on(task).is_err(),
            "it was cancelled"
        );
    }
    let token = many_threads().block_on(credentials.token()).unwrap();
    assert_eq!(credentials.cached_token(), Some(token));
    one_request(&emulator);
}

#[test]
fn a_runtime_gone_since_long_is_not_missed_at_the_next_renewal() {
    let emulator = emulator();
    let credentials = {
        let runtime = many_threads();
        runtime.block_on(async {
            let credentials = credentials(&emulator);
            credentials.headers().await.unwrap();
            credentials
        })
    };
    let token = credentials.cached_token().unwrap();
    emulator.rotate_token();
    assert!(credentials.invalidate(&token));
    assert!(futures_executor::block_on(credentials.headers()).is_ok());
    let token = credentials.cached_token().unwrap();
    assert!(credentials.invalidate(&token));
    assert!(one_thread().block_on(credentials.headers()).is_ok());
    assert_eq!(emulator.request_count(TOKEN), 3);
}

#[test]
fn a_future_dropped_after_its_first_poll_loses_nothing() {
    let emulator = slow();
    let credentials = credentials(&emulator);
    {
        let mut call = pin!(credentials.token());
        let mut context = Context::from_waker(Waker::noop());
        assert!(call.as_mut().poll(&mut context).is_pending());
        assert!(call.as_mut().poll(&mut context).is_pending());
    }
    until("the token has come all the same", || {
        credentials.cached_token().is_some()
    });
    assert!(credentials.blocking_token().is_ok());
    one_request(&emulator);
}

#[test]
fn a_future_that_is_never_polled_asks_nobody() {
    let emulator = emulator();
    let credentials = credentials(&emulator);
    drop(credentials.token());
    drop(credentials.headers());
    assert!(!credentials.status().in_flight);
    assert_eq!(emulator.requests(), []);
}

#[test]
fn a_timeout_and_a_select_around_a_call_lose_nothing() {
    let emulator = slow();
    let credentials = credentials(&emulator);
    one_thread().block_on(async {
        let call = tokio::time::timeout(Duration::from_millis(5), credentials.headers());
        assert!(call.await.is_err(), "it was late");
        tokio::select! {
            biased;
            _ = credentials.token() => unreachable!("it comes later"),
            () = tokio::task::yield_now() => {}
        }
        let token = credentials.token().await.unwrap();
        assert_eq!(credentials.cached_token(), Some(token));
    });
    one_request(&emulator);
}

#[test]
fn whoever_is_cancelled_takes_nothing_from_the_others() {
    let emulator = slow();
    let credentials = credentials(&emulator);
    let runtime = many_threads();
    runtime.block_on(async {
        let calls: Vec<_> = (0..64)
            .map(|_| {
                let credentials = credentials.clone();
                tokio::spawn(async move { credentials.token().await })
            })
            .collect();
        is_asked(&emulator);
        for call in calls.iter().step_by(2) {
            call.abort();
        }
        for (n, call) in calls.into_iter().enumerate() {
            let outcome = call.await;
            assert!(n % 2 == 0 || outcome.unwrap().is_ok());
        }
    });
    one_request(&emulator);
}

#[test]
fn a_task_that_moves_between_two_wakers_is_woken_by_the_last() {
    let emulator = slow();
    let credentials = credentials(&emulator);
    let mut call = Box::pin(async move { credentials.token().await });
    let mut context = Context::from_waker(Waker::noop());
    assert!(matches!(call.as_mut().poll(&mut context), Poll::Pending));
    let token = thread::spawn(move || smol::block_on(call));
    assert!(token.join().unwrap().is_ok());
    one_request(&emulator);
}

#[test]
fn credentials_made_outside_of_any_runtime_serve_all() {
    static SHARED: OnceLock<Credentials> = OnceLock::new();
    let emulator = emulator();
    let shared = SHARED.get_or_init(|| credentials(&emulator));
    for _ in 0..3 {
        assert!(many_threads().block_on(shared.headers()).is_ok());
        assert!(one_thread().block_on(shared.headers()).is_ok());
        assert!(smol::block_on(shared.headers()).is_ok());
    }
    one_request(&emulator);
}

#[test]
fn blocking_calls_inside_of_async_code_work() {
    let emulator = emulator();
    let client = client(&emulator).build().unwrap();
    let ask = async {
        let credentials = Credentials::builder()
            .client(client.clone())
            .shared(false)
            .build()
            .unwrap();
        credentials.blocking_token().unwrap();
        credentials.blocking_refresh().unwrap();
        credentials.blocking_account().unwrap();
        client.blocking_project_id().unwrap();
    };
    one_thread().block_on(ask);
    let ask = |runtime: &str| {
        let credentials = credentials(&emulator).with_scopes([runtime]);
        async move {
            credentials.blocking_headers().unwrap();
            credentials.blocking_wait_ready(Duration::ZERO).unwrap();
        }
    };
    many_threads().block_on(async {
        tokio::spawn(ask("tokio")).await.unwrap();
    });
    smol::block_on(ask("smol"));
    futures_executor::block_on(ask("loop"));
}

#[test]
fn id_tokens_and_getters_know_no_runtime_either() {
    let emulator = emulator();
    emulator.fail_next(IDENTITY, 1, Fault::Delay(LATE));
    let credentials = IdTokenCredentials::builder("https://a")
        .endpoint(emulator.addr().to_string())
        .build()
        .unwrap();
    let client = client(&emulator).build().unwrap();
    thread::scope(|scope| {
        let (credentials, client) = (&credentials, &client);
        scope.spawn(|| smol::block_on(credentials.token()).unwrap());
        scope.spawn(|| one_thread().block_on(credentials.token()).unwrap());
        scope.spawn(|| credentials.blocking_token().unwrap());
        scope.spawn(|| futures_executor::block_on(client.zone()).unwrap());
        scope.spawn(|| many_threads().block_on(client.account_info("default")));
    });
    assert_eq!(emulator.request_count(IDENTITY), 1);
}

#[test]
fn nobody_waits_for_longer_than_the_flight() {
    let emulator = slow();
    let credentials = credentials(&emulator);
    let ((), took) = timed(|| {
        many_threads().block_on(async {
            let calls: Vec<_> = (0..200)
                .map(|_| {
                    let credentials = credentials.clone();
                    tokio::spawn(async move { credentials.token().await })
                })
                .collect();
            for call in calls {
                call.await.unwrap().unwrap();
            }
        });
    });
    assert!(took >= LATE - Duration::from_millis(50), "{took:?}");
    assert!(
        took < Duration::from_secs(9),
        "one flight, not two: {took:?}"
    );
    one_request(&emulator);
}

/// Work goes to the threads of a runtime, as programs may want it.
#[derive(Debug)]
struct OnTokio(tokio::runtime::Handle);

impl Executor for OnTokio {
    fn execute(&self, work: Work) -> Result<(), Work> {
        self.0.spawn_blocking(move || work.run());
        Ok(())
    }
}

#[test]
fn an_executor_of_a_runtime_that_is_gone_leaves_nobody_waiting() {
    let emulator = emulator();
    let runtime = many_threads();
    let executor = OnTokio(runtime.handle().clone());
    let client = client(&emulator)
        .executor(Arc::new(executor))
        .build()
        .unwrap();
    let credentials = Credentials::builder()
        .client(client.clone())
        .build()
        .unwrap();
    drop(credentials.cached_headers());
    until("a token has come", || credentials.cached_token().is_some());
    let token = credentials.cached_token().unwrap();
    runtime.shutdown_background();

    assert!(credentials.invalidate(&token));
    let unavailable = |error: Error| assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    unavailable(futures_executor::block_on(credentials.headers()).unwrap_err());
    unavailable(futures_executor::block_on(client.zone()).unwrap_err());
    let mut watch = client.watch("instance/tags");
    unavailable(futures_executor::block_on(watch.next()).unwrap_err());
    assert!(!credentials.status().in_flight);
    // Whoever brings a thread along gets what he wants.
    client.blocking_zone().unwrap();
    until("the failure is no longer shared", || {
        credentials.blocking_token().is_ok()
    });
}
