//! The hot path by instructions, which do not depend on what else the machine
//! does.
//!
//! `.ci/instructions` runs each case under callgrind, counts what its function
//! costs, and compares with `instructions.toml` beside this file. Without an
//! argument this program lists the cases; with one it runs that case.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a bench measures and prints"
)]

use std::{
    env,
    future::Future,
    hint::black_box,
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use gce_auth::{
    Credentials, IdTokenCredentials, MetadataClient,
    testing::{Reply, ScriptedTransport},
};
use http::HeaderMap;

/// How often `counted` calls what is measured.
const CALLS: u32 = 1000;

fn ready<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => unreachable!("a token is in hand"),
    }
}

/// The function that is counted; nothing else of the program is.
#[inline(never)]
fn counted(call: &mut dyn FnMut()) {
    for _ in 0..CALLS {
        call();
    }
}

/// Calls `call` until every copy is made, and then counted.
fn count(mut call: impl FnMut()) {
    (0..3).for_each(|_| call());
    counted(&mut call);
}

fn client(reply: Reply) -> MetadataClient {
    MetadataClient::builder()
        .endpoint("metadata.bench")
        .transport(Arc::new(ScriptedTransport::new([reply])))
        .build()
        .unwrap()
}

fn credentials() -> Credentials {
    let token = "ya29.".to_owned() + &"c".repeat(200);
    let client = client(Reply::token(&token, 3600));
    let credentials = Credentials::builder().client(client).build().unwrap();
    credentials.blocking_headers().unwrap();
    credentials
}

fn id_token_credentials() -> IdTokenCredentials {
    IdTokenCredentials::fixed("https://service.example", &"c".repeat(600), None).unwrap()
}

/// A map like a request's, with room.
fn map() -> HeaderMap {
    let mut map = HeaderMap::with_capacity(16);
    map.insert("accept", "application/json".parse().unwrap());
    map.insert("x-goog-request-params", "bucket=b".parse().unwrap());
    map
}

const CASES: [(&str, fn()); 9] = [
    ("nothing", || {
        count(|| {
            black_box(0);
        });
    }),
    ("with_cached", || {
        let credentials = credentials();
        count(|| {
            let lent = black_box(&credentials)
                .with_cached(|headers| headers.authorization().map(|value| value.len()));
            black_box(lent);
        });
    }),
    ("cached_headers", || {
        let credentials = credentials();
        count(|| drop(black_box(black_box(&credentials).cached_headers())));
    }),
    ("headers", || {
        let credentials = credentials();
        count(|| drop(black_box(ready(black_box(&credentials).headers()))));
    }),
    ("blocking_headers", || {
        let credentials = credentials();
        count(|| drop(black_box(black_box(&credentials).blocking_headers())));
    }),
    ("token", || {
        let credentials = credentials();
        count(|| drop(black_box(ready(black_box(&credentials).token()))));
    }),
    ("id_token_headers", || {
        let credentials = id_token_credentials();
        count(|| drop(black_box(ready(black_box(&credentials).headers()))));
    }),
    ("id_token_blocking_headers", || {
        let credentials = id_token_credentials();
        count(|| drop(black_box(black_box(&credentials).blocking_headers())));
    }),
    ("apply", || {
        let (credentials, mut map) = (credentials(), map());
        count(|| black_box(&credentials).apply(black_box(&mut map)).unwrap());
    }),
];

fn main() {
    // `cargo bench` adds an argument of its own.
    let chosen = env::args().skip(1).find(|argument| argument != "--bench");
    match chosen {
        Some(chosen) => {
            let (_, case) = CASES.iter().find(|(name, _)| *name == chosen).unwrap();
            case();
        }
        None => CASES.iter().for_each(|(name, _)| println!("{name}")),
    }
}
