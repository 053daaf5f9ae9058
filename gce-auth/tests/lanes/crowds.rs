//! Many at once, budgets of what is queued, and executors that do not run it.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use futures_executor::block_on;
use gce_auth::{
    Credentials, ErrorKind, IdTokenCredentials, MetadataClient, RetryPolicy,
    executor::{Executor, Work},
};
use gce_auth_emulator::{Emulator, Fault};

use super::{
    AUDIENCE, BUDGET, Call, SOON, alone, begin, signatures, signer,
    support::{self, IDENTITY, TOKEN, client, credentials, emulator, timed, until},
};

/// Eight credentials at endpoints that hang, and what asks them.
fn eight_hang(policy: &RetryPolicy) -> (Vec<Emulator>, Vec<Credentials>) {
    let hang = |_| {
        let server = emulator();
        server.fail_next("/", usize::MAX, Fault::Hang);
        let client = client(&server).retry(policy.clone()).build().unwrap();
        let credentials = Credentials::builder().client(client).build().unwrap();
        (server, credentials)
    };
    (0..8).map(hang).unzip()
}

fn a_ninth_answers(policy: &RetryPolicy) {
    let (servers, stuck) = eight_hang(policy);
    let waiting: Vec<_> = stuck
        .iter()
        .cloned()
        .map(|one| begin(async move { one.token().await.map(drop) }))
        .collect();
    let asked = |server: &Emulator| server.request_count(TOKEN) > 0;
    until("all eight hang", || servers.iter().all(asked));
    let healthy = emulator();
    let (token, took) = timed(|| block_on(credentials(&healthy).token()));
    assert!(token.is_ok() && took < SOON, "async: {took:?}");
    let (token, took) = timed(|| {
        support::builder(&healthy)
            .shared(false)
            .build()
            .unwrap()
            .blocking_token()
    });
    assert!(token.is_ok() && took < SOON, "blocking: {took:?}");
    drop(waiting);
}

#[test]
fn eight_servers_that_hang_do_not_delay_a_ninth() {
    let _alone = alone();
    a_ninth_answers(&RetryPolicy::new());
    a_ninth_answers(&RetryPolicy::google_auth());
}

#[test]
fn five_hundred_signatures_at_once_succeed() {
    let _alone = alone();
    let server = emulator();
    server.fail_next("/v1/", usize::MAX, Fault::Delay(Duration::from_millis(200)));
    let signer = signer(&server, &server);
    let (failed, took) = timed(|| {
        let waiting = signatures(&signer, 500);
        let ended = waiting.into_iter().map(block_on);
        ended.filter(Result::is_err).count()
    });
    assert_eq!(failed, 0);
    assert!(took < Duration::from_secs(10), "{took:?}");
}

#[test]
fn fifteen_hundred_cold_audiences_at_once_succeed() {
    let _alone = alone();
    let metadata = emulator();
    let slow = Fault::Delay(Duration::from_millis(100));
    metadata.fail_next(IDENTITY, usize::MAX, slow);
    let client = client(&metadata).build().unwrap();
    let (failed, took) = timed(|| {
        let cold = |n: usize| {
            let audience = format!("https://service-{n}.example");
            let builder = IdTokenCredentials::builder(audience).client(client.clone());
            let one = builder.build().unwrap();
            begin(async move { one.headers().await.map(drop) })
        };
        let waiting: Vec<_> = (0..1500).map(cold).collect();
        let ended = waiting.into_iter().map(block_on);
        ended.filter(Result::is_err).count()
    });
    assert_eq!(failed, 0);
    assert!(took < Duration::from_secs(12), "{took:?}");
}

#[test]
fn queued_calls_end_at_their_budget() {
    let _alone = alone();
    let metadata = emulator();
    metadata.fail_next("/", usize::MAX, Fault::Hang);
    let policy = |seconds| RetryPolicy::new().budget(Duration::from_secs(seconds));
    let patient = client(&metadata).retry(policy(20)).build().unwrap();
    let hasty = client(&metadata).retry(policy(1)).build().unwrap();
    let hanging: Vec<_> = (0..31)
        .map(|_| {
            let client = patient.clone();
            begin(async move { client.zone().await.map(drop) })
        })
        .collect();
    until("every thread hangs", || metadata.requests().len() >= 31);
    let (outcome, took) = timed(|| block_on(hasty.zone()));
    assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Timeout);
    assert!(took < Duration::from_secs(3), "{took:?}");
    drop(hanging);
}

/// Takes work and never runs it.
#[derive(Debug, Default)]
struct Never(Mutex<Vec<Work>>);

impl Executor for Never {
    fn execute(&self, work: Work) -> Result<(), Work> {
        self.0.lock().unwrap().push(work);
        Ok(())
    }
}

fn under(executor: Arc<dyn Executor>, server: &Emulator, budget: Duration) -> MetadataClient {
    client(server)
        .executor(executor)
        .retry(RetryPolicy::new().budget(budget))
        .build()
        .unwrap()
}

#[test]
fn an_executor_that_never_runs_work_keeps_no_caller() {
    let _alone = alone();
    let server = emulator();
    let client = under(Arc::new(Never::default()), &server, Duration::from_secs(1));
    let credentials = Credentials::builder().client(client.clone()).shared(false);
    let credentials = credentials.build().unwrap();
    let id_tokens = IdTokenCredentials::builder(AUDIENCE).client(client.clone());
    let id_tokens = id_tokens.shared(false).build().unwrap();
    let calls: Vec<Call<()>> = vec![
        begin(async move { credentials.headers().await.map(drop) }),
        begin(async move { id_tokens.headers().await.map(drop) }),
        begin(async move { client.zone().await.map(drop) }),
    ];
    let (ended, took) = timed(|| {
        let ended = calls
            .into_iter()
            .map(|call| block_on(call).unwrap_err().kind());
        ended.collect::<Vec<_>>()
    });
    assert_eq!(ended, [ErrorKind::Timeout; 3]);
    assert!(took < Duration::from_secs(3), "{took:?}");
    assert_eq!(server.requests(), []);
    let timers = || {
        let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten();
        let names =
            tasks.filter_map(|it| std::fs::read_to_string(it.ok()?.path().join("comm")).ok());
        names.filter(|name| name.trim() == "gce-auth-timer").count()
    };
    until("the timer has ended", || timers() == 0);
}

#[test]
fn a_lane_of_threads_that_hang_leaves_callers_their_budget() {
    let _alone = alone();
    let server = emulator();
    server.fail_next("/", usize::MAX, Fault::Hang);
    let client = client(&server).build().unwrap();
    let begun = support::now();
    let calls: Vec<_> = (0..120)
        .map(|_| {
            let client = client.clone();
            begin(async move { client.zone().await.map(drop) })
        })
        .collect();
    for call in calls {
        let error = block_on(call).unwrap_err();
        assert!(error.is_retryable(), "{error}");
    }
    let took = support::now() - begun;
    assert!(took < BUDGET + Duration::from_secs(2), "{took:?}");
}
