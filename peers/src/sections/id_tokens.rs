//! ID tokens for ten thousand audiences: what each takes of memory, and what a
//! header costs of which the thread has no copy of its own.

use std::{hint::black_box, time::Instant};

use gce_auth::IdTokenCredentials;

use crate::{
    audiences::{self, Least},
    contestant::{Failure, Library},
    report::{Report, Row},
    sections::{hot::allocations, runtime},
    server::Server,
    spread::{Spread, short},
};

const AUDIENCES: usize = 10_000;
/// google-cloud-auth takes milliseconds for the first token of each, so it has
/// fewer.
const OF_OTHERS: usize = 500;
const ROUNDS: usize = 30;

/// Nanoseconds of a header, of each of these in turn.
fn hits<T, H>(all: &[T], times: usize, header: impl Fn(&T) -> Option<H>) -> Result<f64, Failure> {
    let begun = Instant::now();
    for _ in 0..times {
        for one in all {
            drop(black_box(header(one)).ok_or("no token in hand")?);
        }
    }
    Ok(begun.elapsed().as_nanos() as f64 / (times * all.len()) as f64)
}

/// Bytes of the heap for each audience, counted by a program of its own.
fn memory(library: Library, count: usize) -> Result<f64, Failure> {
    let counted = allocations(&["id-tokens", library.name(), &count.to_string()])?;
    Ok(*counted.first().ok_or("nothing was counted")?)
}

/// The section.
///
/// # Errors
/// If a token is not to be had.
pub fn run(server: &Server) -> Result<Report, Failure> {
    let begun = Instant::now();
    let all = audiences::gce_auth(server.address, AUDIENCES)?;
    let first = begun.elapsed().as_secs_f64() * 1e6 / AUDIENCES as f64;
    let least = Least::all(AUDIENCES)?;
    let [few, some, many] = [1, 100, AUDIENCES];
    let mut times = [const { Vec::new() }; 6];
    for round in 0..=ROUNDS {
        let mut index = 0;
        for count in [few, some, many] {
            let repeat = AUDIENCES / count;
            let ours = hits(&all[..count], repeat, IdTokenCredentials::cached_headers)?;
            let least = hits(&least[..count], repeat, |least| least.header())?;
            for time in [ours, least] {
                if round > 0 {
                    times[index].push(time);
                }
                index += 1;
            }
        }
    }
    let first_times = [times[0].clone(), times[1].clone()];
    let mut ratios = Vec::new();
    let mut rows = Vec::new();
    for (index, times) in times.into_iter().enumerate() {
        let count = [few, some, many][index / 2];
        let who = [Library::GceAuth.name(), "floor, `RwLock` and `HeaderValue`"][index % 2];
        let ratio = times.iter().zip(&first_times[index % 2]);
        let ratio = Spread::of(ratio.map(|(time, first)| time / first));
        ratios.push(ratio.median());
        let turn = format!("{} in turn", short(count as f64));
        rows.push(vec![
            who.to_owned(),
            turn,
            Spread::of(times).to_string(),
            ratio.to_string(),
        ]);
    }
    let mut report = Report::default();
    let head = [
        "header of an ID token, cloned",
        "audiences",
        "ns",
        "times the time of one",
    ];
    report.table(&head, rows);
    let [.., ratio, floor] = ratios[..] else {
        return Err("nothing was measured".into());
    };

    let ours = memory(Library::GceAuth, AUDIENCES)?;
    let mut rows = vec![vec![
        Library::GceAuth.name().to_owned(),
        short(AUDIENCES as f64),
        short(ours),
        short(first),
    ]];
    let mut row = Row::new(
        "ID tokens for 10,000 audiences",
        "a hit costs ≤ 2 times the hot path",
    );
    row = row.cell(
        Library::GceAuth,
        format!("{} times, {} bytes each", short(ratio), short(ours)),
    );
    row = row.cell(Library::Floor, format!("{} times", short(floor)));
    row = row.met(ratio <= 2.0);
    if cfg!(feature = "peers") {
        let theirs = memory(Library::GoogleCloudAuth, OF_OTHERS)?;
        let first = first_of_others()?;
        rows.push(vec![
            Library::GoogleCloudAuth.name().to_owned(),
            OF_OTHERS.to_string(),
            short(theirs),
            short(first),
        ]);
        row = row.cell(
            Library::GoogleCloudAuth,
            format!("{} bytes each", short(theirs)),
        );
    }
    let head = [
        "library",
        "audiences",
        "bytes of heap for each",
        "first token of each, µs",
    ];
    report.table(&head, rows);
    report.row(row);
    Ok(report)
}

#[cfg(feature = "peers")]
fn first_of_others() -> Result<f64, Failure> {
    let runtime = runtime()?;
    let begun = Instant::now();
    let all = runtime.block_on(audiences::google_cloud_auth(OF_OTHERS))?;
    Ok(begun.elapsed().as_secs_f64() * 1e6 / all.len() as f64)
}

#[cfg(not(feature = "peers"))]
fn first_of_others() -> Result<f64, Failure> {
    runtime().map(|_| f64::NAN)
}
