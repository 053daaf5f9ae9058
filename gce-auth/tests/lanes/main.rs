//! One server's trouble delays nothing at another, and a queue is part of the
//! budget.

#![allow(clippy::unwrap_used, reason = "a test says with it what it expects")]

mod crowds;
#[path = "../support/mod.rs"]
mod support;

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    task::{Context, Waker},
    time::Duration,
};

use futures_executor::block_on;
use gce_auth::{
    AccessBoundaryRule, CredentialAccessBoundary, DefaultOptions, Error, IdTokenCredentials,
    IdTokenCredentialsBuilder, IdTokenVerifier, JwtSigner, Signer, default_credentials,
};
use gce_auth_emulator::{Emulator, Fault};
use support::{EMAIL, client, credentials, emulator, timed, until};

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
    let unnamed = Signer::builder().credentials(credentials(&metadata));
    let unnamed = unnamed.build().unwrap();
    let (email, took) = timed(|| block_on(unnamed.fetch_service_account_email()));
    assert!(email.is_ok() && took < SOON, "{email:?} {took:?}");
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

/// ID tokens for an assertion that is signed at `metadata`, and exchanged at `oauth`.
fn exchanged(metadata: &Emulator, oauth: &Emulator, audience: usize) -> IdTokenCredentialsBuilder {
    IdTokenCredentials::builder(format!("https://service-{audience}.example"))
        .client(client(metadata).build().unwrap())
        .iam_flow(true)
        .service_account(EMAIL)
        .iam_endpoint(metadata.url())
        .token_uri(format!("{}/token", oauth.url()))
}

#[test]
fn a_token_endpoint_that_hangs_delays_no_signature() {
    let _alone = alone();
    let (metadata, oauth) = (emulator(), emulator());
    let waiting = hang(
        &oauth,
        |n| {
            let tokens = exchanged(&metadata, &oauth, n).build().unwrap();
            begin(async move { tokens.headers().await.map(drop) })
        },
        31,
    );
    let signer = signer(&metadata, &metadata);
    let (signed, took) = timed(|| block_on(signer.sign_bytes(b"x")));
    assert!(signed.is_ok() && took < SOON, "{signed:?} {took:?}");
    drop(waiting);
}

#[test]
fn signatures_of_credentials_delay_no_other_server_either() {
    let _alone = alone();
    let (metadata, iam) = (emulator(), emulator());
    let account = credentials(&metadata).impersonate(EMAIL);
    let account = account.iam_endpoint(iam.url()).build().unwrap();
    let id_tokens = exchanged(&metadata, &metadata, 0).iam_endpoint(iam.url());
    let id_tokens = id_tokens.build().unwrap();
    let waiting = hang(
        &iam,
        |n| {
            let (account, id_tokens) = (account.clone(), id_tokens.clone());
            begin(async move {
                match n % 2 {
                    0 => account.sign_bytes(b"x").await.map(drop),
                    _ => id_tokens.sign_bytes(b"x").await.map(drop),
                }
            })
        },
        31,
    );
    healthy_servers_answer(&metadata);
    drop(waiting);
}

/// A signer of the program's that waits until it may go on.
#[derive(Debug, Default)]
struct Stuck(Mutex<usize>, Condvar);

impl Stuck {
    fn released(&self) {
        *self.0.lock().unwrap() = usize::MAX;
        self.1.notify_all();
    }
}

impl JwtSigner for Stuck {
    fn sign(&self, bytes: &[u8]) -> Result<Vec<u8>, Box<dyn std::error::Error + Send + Sync>> {
        let mut callers = self.0.lock().unwrap();
        *callers = callers.saturating_add(1);
        drop(self.1.wait_while(callers, |callers| *callers < usize::MAX));
        Ok(bytes.to_vec())
    }
}

#[derive(Debug)]
struct Prompt;

impl JwtSigner for Prompt {
    fn sign(&self, bytes: &[u8]) -> Result<Vec<u8>, Box<dyn std::error::Error + Send + Sync>> {
        Ok(bytes.to_vec())
    }
}

#[test]
fn a_signer_of_the_program_that_hangs_delays_no_other() {
    let _alone = alone();
    let server = emulator();
    let stuck = Arc::new(Stuck::default());
    let waiting: Vec<_> = (0..40)
        .map(|n| {
            let tokens = exchanged(&server, &server, n).signer(Arc::clone(&stuck) as _);
            let tokens = tokens.build().unwrap();
            begin(async move { tokens.headers().await.map(drop) })
        })
        .collect();
    until("as many hang as may", || *stuck.0.lock().unwrap() >= 31);
    let other = exchanged(&server, &server, 0).signer(Arc::new(Prompt));
    let other = other.build().unwrap();
    let (headers, took) = timed(|| block_on(other.headers()));
    stuck.released();
    assert!(took < SOON, "{headers:?} {took:?}");
    drop(waiting);
}

#[test]
fn a_search_at_a_metadata_server_that_hangs_delays_no_other() {
    let _alone = alone();
    let (hung, metadata) = (emulator(), emulator());
    let find = |server: &Emulator| {
        let options = DefaultOptions::new().client(client(server).build().unwrap());
        default_credentials(options)
    };
    let waiting = hang(&hung, |_| begin(find(&hung)), 31);
    // A search gives up soon: many are waited for long.
    let more: Vec<_> = (0..200).map(|_| begin(find(&hung))).collect();
    let (found, took) = timed(|| block_on(find(&metadata)));
    assert!(found.is_ok() && took < SOON, "{found:?} {took:?}");
    healthy_servers_answer(&metadata);
    drop((waiting, more));
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
