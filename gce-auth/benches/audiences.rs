//! ID tokens for ten thousand audiences: how much memory each takes, and what
//! a call costs with its token in hand, beside a call for one audience.
//!
//! A thread keeps copies of a few tokens only, so calls for many audiences
//! read what all threads share: without a copy, but also without allocating.
//! Ten thousand are asked in a random order, in which no cache of the processor
//! helps: what that costs at least is shown by a list of as many headers, as
//! far apart in memory, of which one is cloned.
//!
//! `cargo bench -p gce-auth --bench audiences` prints Markdown tables. That
//! nothing is allocated is asserted; times and memory are shown.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a bench measures and prints"
)]

use std::{
    alloc::System,
    hint::black_box,
    sync::Arc,
    time::{Duration, Instant},
};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use bytes::Bytes;
use gce_auth::{
    IdTokenCredentials, MetadataClient,
    time::{Clock as _, SystemClock},
    transport::{Limits, Transport, TransportError},
};
use http::{HeaderValue, Request, Response};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const AUDIENCES: usize = 10_000;
const ROUNDS: usize = 31;

/// Mints what it is asked for, as long as Google's in the format `full`.
#[derive(Debug)]
struct Mint {
    exp: u64,
}

impl Transport for Mint {
    fn send(
        &self,
        request: Request<Vec<u8>>,
        _: &Limits,
    ) -> Result<Response<Vec<u8>>, TransportError> {
        let query = request.uri().query().unwrap();
        let (_, audience) = query.split_once("audience=").unwrap();
        let audience = audience.split('&').next().unwrap();
        let claims = format!(
            "{{\"aud\":\"{audience}\",\"azp\":\"{}\",\"exp\":{},\"iss\":\"accounts.google.com\"}}",
            "1".repeat(400),
            self.exp
        );
        let part = |text: &str| BASE64_URL_SAFE_NO_PAD.encode(text);
        let token = format!(
            "{}.{}.{}",
            part("{\"alg\":\"RS256\",\"kid\":\"0123456789012345678901234567890123456789\"}"),
            part(&claims),
            part(&"s".repeat(256))
        );
        let response = Response::builder().header("metadata-flavor", "Google");
        Ok(response.body(token.into_bytes()).unwrap())
    }
}

fn ask(credentials: &&IdTokenCredentials) {
    black_box(credentials.blocking_headers()).unwrap();
}

fn clone(value: &Arc<HeaderValue>) {
    black_box(HeaderValue::clone(value));
}

/// The time of a call, in the median round.
fn measure<T>(things: &[T], call: impl Fn(&T)) -> Duration {
    let calls = u32::try_from(things.len()).unwrap();
    let mut rounds: Vec<Duration> = (0..ROUNDS)
        .map(|_| {
            let begun = Instant::now();
            things.iter().for_each(&call);
            begun.elapsed() / calls
        })
        .collect();
    rounds.sort();
    rounds[ROUNDS / 2]
}

/// The same things in an order that is the same each time, and that nobody
/// could guess.
fn shuffled<T>(mut things: Vec<T>) -> Vec<T> {
    let mut state = 1u64;
    for place in (1..things.len()).rev() {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        things.swap(place, (state >> 33) as usize % (place + 1));
    }
    things
}

fn main() {
    let exp = SystemClock::new().now().wall.as_secs() + 3600;
    let client = MetadataClient::builder()
        .endpoint("metadata.bench")
        .transport(Arc::new(Mint { exp }))
        .build()
        .unwrap();
    let first = IdTokenCredentials::builder("audience-first")
        .client(client)
        .build()
        .unwrap();
    let size = first.blocking_token().unwrap().secret().len();
    let region = Region::new(ALLOCATOR);
    let all: Vec<_> = (0..AUDIENCES)
        .map(|audience| {
            let credentials = first
                .with_audience(format!("audience-{audience:05}"))
                .unwrap();
            credentials.blocking_headers().unwrap();
            credentials
        })
        .collect();
    let made = region.change();
    let bytes = made.bytes_allocated - made.bytes_deallocated;
    println!("| audiences | token, bytes | memory for each, bytes |");
    println!("| --- | --- | --- |");
    println!("| {AUDIENCES} | {size} | {} |\n", bytes / AUDIENCES);

    let alone = vec![&first; AUDIENCES];
    let few: Vec<_> = all.iter().take(100).cycle().take(AUDIENCES).collect();
    let many = shuffled(all.iter().collect());
    println!("| calls for | ns | by one audience's | allocations |");
    println!("| --- | --- | --- | --- |");
    let mut one = None;
    for (name, credentials) in [
        ("one audience", alone),
        ("100 audiences in turns", few),
        ("10,000 audiences at random", many),
    ] {
        measure(&credentials, ask);
        let region = Region::new(ALLOCATOR);
        credentials.iter().for_each(ask);
        let allocations = region.change().allocations;
        let took = measure(&credentials, ask).as_nanos();
        let one = *one.get_or_insert(took);
        println!(
            "| {name} | {took} | {:.1} | {allocations} |",
            took as f64 / one as f64
        );
        assert_eq!(allocations, 0, "{name}");
    }
    let list = (0..AUDIENCES).map(|_| {
        let value = HeaderValue::from_maybe_shared(Bytes::from(vec![b'x'; size]));
        (
            Arc::new(value.unwrap()),
            vec![0u8; (bytes / AUDIENCES).saturating_sub(size)],
        )
    });
    let list: Vec<_> = shuffled(list.collect());
    let took = measure(&list, |(value, _)| clone(value)).as_nanos();
    println!(
        "| to compare: {AUDIENCES} header values at random | {took} | {:.1} | |",
        took as f64 / one.unwrap_or(1) as f64
    );
}
