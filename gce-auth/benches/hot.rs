//! The hot path: what a request for headers costs while a token is in hand.
//!
//! `cargo bench -p gce-auth --bench hot --features test-util` prints a
//! Markdown table of nanoseconds and of allocations for each call. That
//! nothing is allocated is asserted; times are only shown.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a bench measures and prints"
)]

use std::{
    alloc::System,
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
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const CALLS: u32 = 1_000_000;
const ROUNDS: usize = 9;

type Call = fn(&Credentials);

fn ready<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => unreachable!("a token is in hand"),
    }
}

const CASES: [(&str, Call); 6] = [
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
];

/// The time of one call, in the median round of `ROUNDS`.
fn measure(credentials: &Credentials, call: Call) -> Duration {
    let mut rounds: Vec<Duration> = (0..ROUNDS)
        .map(|_| {
            let begun = Instant::now();
            for _ in 0..CALLS / 10 {
                call(black_box(credentials));
            }
            begun.elapsed() / (CALLS / 10)
        })
        .collect();
    rounds.sort();
    rounds[ROUNDS / 2]
}

/// The time that one call takes of a processor where `threads` call at once.
fn together(credentials: &Credentials, call: Call, threads: u32) -> Duration {
    let barrier = Arc::new(Barrier::new(threads as usize + 1));
    let running: Vec<_> = (0..threads)
        .map(|_| {
            let (credentials, barrier) = (credentials.clone(), barrier.clone());
            thread::spawn(move || {
                barrier.wait();
                for _ in 0..CALLS {
                    call(black_box(&credentials));
                }
            })
        })
        .collect();
    barrier.wait();
    let begun = Instant::now();
    for thread in running {
        thread.join().unwrap();
    }
    let cores = thread::available_parallelism().map_or(1, |cores| cores.get());
    let parallel = u32::try_from(cores).unwrap_or(1).min(threads);
    begun.elapsed() * parallel / (CALLS * threads)
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
    println!("| call | 1 thread, ns | 8 threads, ns of a core | allocations |");
    println!("| --- | --- | --- | --- |");
    for (name, call) in CASES {
        // A thread has its own copy after the second miss.
        (0..3).for_each(|_| call(&credentials));
        let region = Region::new(ALLOCATOR);
        (0..1000).for_each(|_| call(&credentials));
        let allocations = region.change().allocations;
        let alone = measure(&credentials, call);
        let eight = together(&credentials, call, 8);
        println!(
            "| {name} | {} | {} | {} |",
            alone.as_nanos(),
            eight.as_nanos(),
            allocations / 1000
        );
        assert_eq!(allocations, 0, "{name} allocates");
    }
}
