//! One server's trouble delays nothing at another, and a queue is part of the
//! budget.

#![allow(clippy::unwrap_used, reason = "a test says with it what it expects")]

mod support;

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Waker},
    time::Duration,
};

use futures_executor::block_on;
use gce_auth::{
    AccessBoundaryRule, CredentialAccessBoundary, Credentials, Error, ErrorKind,
    IdTokenCredentials, IdTokenVerifier, MetadataClient, RetryPolicy, Signer,
    executor::{Executor, Work},
};
use gce_auth_emulator::{Emulator, Fault};
use support::{EMAIL, IDENTITY, TOKEN, client, credentials, emulator, timed, until};

const AUDIENCE: &str = "https://service.example";
const SOON: Duration = Duration::from_secs(1);
/// The default budget of an operation.
const BUDGET: Duration = Duration::from_secs(10);

/// Times are measured: one test at a time.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

type Call<T> = Pin<Box<dyn Future<Output = Result<T, Error>>>>;

/// Polls once, as a task does that was just spawned.
fn begin<T>(call: impl Future<Output = Result<T, Error>> + 'static) -> Call<T> {
    let mut call: Call<T> = Box::pin(call);
    let polled = call.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert!(polled.is_pending());
    call
}

fn signer(metadata: &Emulator, iam: &Emulator) -> Signer {
    Signer::builder()
        .credentials(credentials(metadata))
        .service_account(EMAIL)
        .iam_endpoint(iam.url())
        .build()
        .unwrap()
}

fn signatures(signer: &Signer, count: usize) -> Vec<Call<()>> {
    let sign = |n: usize| {
        let signer = signer.clone();
        begin(async move { signer.sign_bytes(format!("{n}").as_bytes()).await.map(drop) })
    };
    (0..count).map(sign).collect()
}

fn signed(server: &Emulator) -> usize {
    let requests = server.requests();
    requests
        .iter()
        .filter(|it| it.path.starts_with("/v1/"))
        .count()
}

/// Asks healthy servers for everything; each within a second.
fn healthy_servers_answer(metadata: &Emulator) {
    let id_tokens = IdTokenCredentials::builder(AUDIENCE)
        .endpoint(metadata.addr().to_string())
        .shared(false)
        .build()
        .unwrap();
    let (headers, took) = timed(|| block_on(id_tokens.headers()));
    assert!(headers.is_ok() && took < SOON, "ID token: {took:?}");
    let (project, took) = timed(|| block_on(client(metadata).build().unwrap().project_id()));
    assert!(project.is_ok() && took < SOON, "project: {took:?}");
    let verifier = IdTokenVerifier::builder()
        .audience(AUDIENCE)
        .jwks_url(format!("{}/oauth2/v3/certs", metadata.url()))
        .build()
        .unwrap();
    let token = block_on(id_tokens.token()).unwrap();
    let (claims, took) = timed(|| block_on(verifier.verify(token.secret())));
    assert!(claims.is_ok() && took < SOON, "{claims:?} {took:?}");
}

#[test]
fn an_iam_that_hangs_delays_no_other_server() {
    let _alone = alone();
    let (metadata, iam) = (emulator(), emulator());
    iam.fail_next("/", usize::MAX, Fault::Hang);
    let signer = signer(&metadata, &iam);
    let waiting = signatures(&signer, 40);
    until("as many hang as may", || iam.requests().len() >= 31);
    healthy_servers_answer(&metadata);
    // The same, when no caller waits for them any more.
    drop(waiting);
    healthy_servers_answer(&metadata);
}

/// Begins so many calls, and waits until as many hang at the server as may.
fn hang<T: 'static>(
    server: &Emulator,
    call: impl Fn(usize) -> Call<T>,
    most: usize,
) -> Vec<Call<T>> {
    server.fail_next("/", usize::MAX, Fault::Hang);
    let waiting = (0..40).map(call).collect();
    until("as many hang as may", || server.requests().len() >= most);
    waiting
}

/// Asks a healthy metadata server for a token of its own; within a second.
fn a_token_comes(metadata: &Emulator) {
    let own = credentials(metadata).unshared();
    let (headers, took) = timed(|| block_on(own.headers()));
    assert!(headers.is_ok() && took < SOON, "{headers:?} {took:?}");
}

#[test]
fn an_iam_that_hangs_for_many_accounts_delays_no_token_of_their_source() {
    let _alone = alone();
    let (metadata, iam) = (emulator(), emulator());
    let source = credentials(&metadata);
    let waiting = hang(
        &iam,
        |n| {
            let account = source.impersonate(format!("a{n}@p.iam.gserviceaccount.com"));
            let account = account.iam_endpoint(iam.url()).build().unwrap();
            begin(async move { account.headers().await.map(drop) })
        },
        32,
    );
    a_token_comes(&metadata);
    drop(waiting);
}

#[test]
fn an_exchange_that_hangs_delays_no_token_of_its_source() {
    let _alone = alone();
    let (metadata, sts) = (emulator(), emulator());
    let source = credentials(&metadata);
    let url = format!("{}/v1/token", sts.url());
    let waiting = hang(
        &sts,
        |n| {
            let bucket = format!("//storage.googleapis.com/projects/_/buckets/b{n}");
            let rule = AccessBoundaryRule::new(bucket, ["inRole:roles/storage.objectViewer"]);
            let boundary = CredentialAccessBoundary::new([rule.unwrap()]).unwrap();
            let narrow = source.downscope_at(&boundary, &*url).unwrap();
            begin(async move { narrow.headers().await.map(drop) })
        },
        32,
    );
    a_token_comes(&metadata);
    drop(waiting);
}

#[test]
fn a_metadata_server_that_hangs_delays_no_signature_for_another() {
    let _alone = alone();
    // The healthy one is the IAM of both.
    let (hung, metadata) = (emulator(), emulator());
    let others: Vec<_> = (0..40)
        .map(|_| {
            let own = credentials(&hung).unshared();
            let signer = Signer::builder().credentials(own).service_account(EMAIL);
            signer.iam_endpoint(metadata.url()).build().unwrap()
        })
        .collect();
    let waiting = hang(
        &hung,
        |n| {
            let signer = others[n].clone();
            begin(async move { signer.sign_bytes(b"x").await.map(drop) })
        },
        31,
    );
    let signer = signer(&metadata, &metadata);
    let (signed, took) = timed(|| block_on(signer.sign_bytes(b"x")));
    assert!(signed.is_ok() && took < SOON, "{signed:?} {took:?}");
    drop(waiting);
}

#[test]
fn signatures_whose_callers_gave_up_are_not_begun() {
    let _alone = alone();
    let server = emulator();
    server.fail_next("/v1/", 31, Fault::Delay(Duration::from_millis(500)));
    let signer = signer(&server, &server);
    let waiting = signatures(&signer, 31);
    until("every thread is busy", || signed(&server) >= 31);
    drop(signatures(&signer, 100));
    let last = signatures(&signer, 1);
    for call in waiting.into_iter().chain(last) {
        block_on(call).unwrap();
    }
    assert_eq!(signed(&server), 32);
}

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
