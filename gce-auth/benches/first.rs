//! What a token costs that has to be fetched: by new credentials, over a new
//! connection; and by credentials whose token has gone, over a connection that
//! is there, one after another or after a pause. After a pause no thread of the
//! library is there, as when a program begins or renews its token by the hour.
//!
//! The floor is a client written with the standard library alone, without time
//! limits. All ask the same server on loopback, in turns.
//! `cargo bench -p gce-auth --bench first` prints a Markdown table: medians,
//! the quartiles, and the median of each round by the floor's of that round.
//! That each token costs one request is asserted; times are shown.

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
    thread,
    time::{Duration, Instant},
};

use floor::Floor;
use futures_executor::block_on;
use gce_auth::{Credentials, MetadataClient, transport::HttpTransport};

const ROUNDS: usize = 300;
/// The first rounds warm up.
const WARM_UP: usize = 20;
/// Longer than a thread of the library stays without work.
const PAUSE: Duration = Duration::from_millis(15);

/// Credentials that share no token and no connection.
fn new(address: SocketAddr) -> Credentials {
    let client = MetadataClient::builder()
        .endpoint(address.to_string())
        .transport(Arc::new(HttpTransport::new()))
        .build()
        .unwrap();
    Credentials::builder()
        .client(client)
        .shared(false)
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

fn table(what: &str, pause: Duration, mut contestants: Vec<Contestant>) {
    let mut times = vec![Vec::with_capacity(ROUNDS); contestants.len()];
    for round in 0..ROUNDS + WARM_UP {
        for (times, (_, contestant)) in times.iter_mut().zip(&mut contestants) {
            if !pause.is_zero() {
                thread::sleep(pause);
            }
            let begun = Instant::now();
            contestant();
            let took = begun.elapsed();
            if round >= WARM_UP {
                times.push(took.as_secs_f64() * 1e6);
            }
        }
    }
    let quarter = |values: &[f64], quarter: usize| {
        let mut values = values.to_vec();
        values.sort_by(f64::total_cmp);
        values[values.len() * quarter / 4]
    };
    for (own, (name, _)) in times.iter().zip(contestants) {
        let ratios: Vec<f64> = own
            .iter()
            .zip(&times[0])
            .map(|(own, floor)| own / floor)
            .collect();
        let [low, median, high] = [1, 2, 3].map(|part| quarter(own, part));
        let ratio = quarter(&ratios, 2);
        println!("| {what} | {name} | {median:.1} | {low:.1} to {high:.1} | {ratio:.2} |");
    }
}

fn main() {
    let stub = stub::start();
    println!("| token | by | median, µs | quartiles, µs | by the floor's |");
    println!("| --- | --- | --- | --- | --- |");
    table("first, new credentials", PAUSE, first(stub.address));
    table(
        "refreshed, one after another",
        Duration::ZERO,
        refresh(stub.address),
    );
    table("refreshed, after a pause", PAUSE, refresh(stub.address));
    // Three contestants in three tables, and each call is one request.
    assert_eq!(stub.answered.load(Relaxed), 9 * (ROUNDS + WARM_UP));
}
