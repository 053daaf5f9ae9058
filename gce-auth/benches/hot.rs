//! The hot path: what a request for headers costs while a token is in hand.
//!
//! `cargo bench -p gce-auth --bench hot --features test-util` prints a
//! Markdown table: nanoseconds of a call on one thread, millions of calls a
//! second of 1, 2, 8 and 64 threads together, and allocations. That nothing is
//! allocated is asserted; times are only shown.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a bench measures and prints"
)]

use std::{
    alloc::System,
    cell::RefCell,
    future::Future,
    hint::black_box,
    pin::pin,
    sync::{
        Arc, Barrier,
        atomic::{
            AtomicUsize,
            Ordering::{Relaxed, Release},
        },
    },
    task::{Context, Poll, Waker},
    thread,
    time::{Duration, Instant},
};

use gce_auth::{
    Credentials, MetadataClient,
    testing::{Reply, ScriptedTransport},
};
use http::HeaderMap;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const CALLS: u32 = 4_000_000;
const ROUNDS: usize = 9;

type Call = fn(&Credentials);

fn ready<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => unreachable!("a token is in hand"),
    }
}

thread_local! {
    /// The headers of a request.
    static MAP: RefCell<HeaderMap> = RefCell::new(HeaderMap::with_capacity(16));
}

const CASES: [(&str, Call); 8] = [
    ("to compare: a counter up and down", |_| {
        // What cloning and dropping shared bytes costs at least, wherever they
        // are: two operations on an atomic that no other core has.
        thread_local! {
            static COUNT: AtomicUsize = const { AtomicUsize::new(0) };
        }
        COUNT.with(|count| {
            black_box(count).fetch_add(1, Relaxed);
            black_box(count).fetch_sub(1, Release);
        });
    }),
    ("`with_cached`: borrowed", |credentials| {
        let length = credentials
            .with_cached(|headers| headers.authorization().map(|value| black_box(value).len()));
        black_box(length);
    }),
    ("`cached_headers`: cloned", |credentials| {
        black_box(credentials.cached_headers());
    }),
    ("`headers().await`", |credentials| {
        black_box(ready(credentials.headers())).unwrap();
    }),
    ("`blocking_headers`", |credentials| {
        black_box(credentials.blocking_headers()).unwrap();
    }),
    ("`token().await`", |credentials| {
        black_box(ready(credentials.token())).unwrap();
    }),
    ("`apply`, where the map has room", |credentials| {
        MAP.with_borrow_mut(|map| credentials.apply(map)).unwrap();
    }),
    ("`headers().await` and `apply_to`", |credentials| {
        let headers = ready(credentials.headers()).unwrap();
        MAP.with_borrow_mut(|map| headers.apply_to(map));
    }),
];

/// The time of one call, in the median round of `ROUNDS`.
fn measure(credentials: &Credentials, call: Call) -> Duration {
    let mut rounds: Vec<Duration> = (0..ROUNDS)
        .map(|_| {
            let begun = Instant::now();
            for _ in 0..CALLS / 40 {
                call(black_box(credentials));
            }
            begun.elapsed() / (CALLS / 40)
        })
        .collect();
    rounds.sort();
    rounds[ROUNDS / 2]
}

/// Millions of calls a second, of so many threads together.
fn together(credentials: &Credentials, call: Call, threads: u32) -> f64 {
    let barrier = Arc::new(Barrier::new(threads as usize + 1));
    let running: Vec<_> = (0..threads)
        .map(|_| {
            let (credentials, barrier) = (credentials.clone(), barrier.clone());
            thread::spawn(move || {
                barrier.wait();
                for _ in 0..CALLS / threads {
                    call(black_box(&credentials));
                }
            })
        })
        .collect();
    let begun = Instant::now();
    barrier.wait();
    for thread in running {
        thread.join().unwrap();
    }
    f64::from(CALLS) / begun.elapsed().as_secs_f64() / 1e6
}

fn main() {
    let token = "ya29.".to_owned() + &"c".repeat(200);
    let transport = ScriptedTransport::new([Reply::token(&token, 3600)]);
    let client = MetadataClient::builder()
        .endpoint("metadata.bench")
        .transport(Arc::new(transport))
        .build()
        .unwrap();
    let credentials = Credentials::builder().client(client).build().unwrap();
    credentials.blocking_headers().unwrap();
    println!("| call | ns | M/s of 1 thread | 2 | 8 | 64 | allocations |");
    println!("| --- | --- | --- | --- | --- | --- | --- |");
    for (name, call) in CASES {
        // A thread has its own copy after the second miss.
        (0..3).for_each(|_| call(&credentials));
        let region = Region::new(ALLOCATOR);
        (0..1000).for_each(|_| call(&credentials));
        let allocations = region.change().allocations;
        let alone = measure(&credentials, call);
        let [one, two, eight, many] =
            [1, 2, 8, 64].map(|threads| together(&credentials, call, threads));
        println!(
            "| {name} | {} | {one:.0} | {two:.0} | {eight:.0} | {many:.0} | {} |",
            alone.as_nanos(),
            allocations / 1000
        );
        assert_eq!(allocations, 0, "{name} allocates");
    }
}
