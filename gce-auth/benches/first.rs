//! What a token costs that has to be fetched: by new credentials, over a new
//! connection; and by credentials whose token has gone, over a connection that
//! is there.
//!
//! The floor is a client written with the standard library alone. All ask the
//! same server on loopback, in turns. `cargo bench -p gce-auth --bench first`
//! prints a Markdown table: medians, the quartiles, and each median by the
//! floor's. That each token costs one request is asserted; times are shown.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a bench measures and prints"
)]

#[path = "support/floor.rs"]
mod floor;
#[path = "support/stub.rs"]
mod stub;

use std::{
    hint::black_box,
    net::SocketAddr,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};

use floor::Floor;
use futures_executor::block_on;
use gce_auth::{Credentials, MetadataClient, transport::HttpTransport};

const ROUNDS: usize = 2000;

/// Credentials that share no token and no connection.
fn new(address: SocketAddr) -> Credentials {
    let client = MetadataClient::builder()
        .endpoint(address.to_string())
        .transport(Arc::new(HttpTransport::new()))
        .build()
        .unwrap();
    Credentials::builder()
        .client(client)
        .unshared()
        .build()
        .unwrap()
}

/// Whatever has its time taken.
type Contestant = (&'static str, Box<dyn FnMut()>);

fn first(address: SocketAddr) -> Vec<Contestant> {
    vec![
        (
            "floor",
            Box::new(move || {
                black_box(Floor::connect(address).unwrap().token().unwrap());
            }),
        ),
        (
            "`blocking_headers`",
            Box::new(move || {
                black_box(new(address).blocking_headers().unwrap());
            }),
        ),
        (
            "`headers().await`",
            Box::new(move || {
                let credentials = new(address);
                black_box(block_on(credentials.headers()).unwrap());
            }),
        ),
    ]
}

fn refresh(address: SocketAddr) -> Vec<Contestant> {
    let mut floor = Floor::connect(address).unwrap();
    let blocking = new(address);
    let awaiting = new(address);
    vec![
        (
            "floor",
            Box::new(move || {
                black_box(floor.token().unwrap());
            }),
        ),
        (
            "`blocking_headers`",
            Box::new(move || {
                let headers = blocking.blocking_headers().unwrap();
                blocking.invalidate_headers(&headers);
            }),
        ),
        (
            "`headers().await`",
            Box::new(move || {
                let headers = block_on(awaiting.headers()).unwrap();
                awaiting.invalidate_headers(&headers);
            }),
        ),
    ]
}

fn table(what: &str, mut contestants: Vec<Contestant>) {
    let mut times = vec![Vec::with_capacity(ROUNDS); contestants.len()];
    for round in 0..ROUNDS + 100 {
        for (times, (_, contestant)) in times.iter_mut().zip(&mut contestants) {
            let begun = Instant::now();
            contestant();
            let took = begun.elapsed();
            // The first hundred warm up.
            if round >= 100 {
                times.push(took);
            }
        }
    }
    let mut floor = None;
    for (mut times, (name, _)) in times.into_iter().zip(contestants) {
        times.sort();
        let micros = |part: usize| times[times.len() * part / 4].as_secs_f64() * 1e6;
        let median = Duration::from_secs_f64(micros(2) / 1e6);
        let floor = *floor.get_or_insert(median);
        println!(
            "| {what} | {name} | {:.1} | {:.1} to {:.1} | {:.2} |",
            micros(2),
            micros(1),
            micros(3),
            median.as_secs_f64() / floor.as_secs_f64(),
        );
    }
}

fn main() {
    let stub = stub::start();
    println!("| token | by | median, µs | quartiles, µs | by the floor's |");
    println!("| --- | --- | --- | --- | --- |");
    table("first, new credentials", first(stub.address));
    table("refreshed, warm connection", refresh(stub.address));
    // Three contestants in two tables, and each call is one request.
    assert_eq!(stub.answered.load(Relaxed), 6 * (ROUNDS + 100));
}
