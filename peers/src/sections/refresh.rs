//! A new token, where the connection is open already: what a refresh costs.

use std::time::{Duration, Instant};

use tokio::runtime::Runtime;

use crate::{
    contestant::{Again, Contestant, Failure, Library},
    field::{Event, fetchers},
    report::{Report, Row},
    sections::{alone, check, ready, runtime},
    server::Server,
    spread::{Spread, short},
};

const ROUNDS: usize = 40;
const CALLS: u32 = 50;

/// Microseconds of a refresh, and how many connections [`CALLS`] of them took.
type Round = Box<dyn FnMut() -> Result<(f64, u64), Failure>>;

struct Refreshed<'a> {
    server: Server,
    runtime: &'a Runtime,
}

async fn refreshes<C: Contestant>(contestant: &C) -> Result<f64, Failure> {
    let begun = Instant::now();
    for _ in 0..CALLS {
        contestant.with_new(check).await??;
    }
    Ok(begun.elapsed().as_secs_f64() * 1e6 / f64::from(CALLS))
}

impl Event for Refreshed<'_> {
    type Output = Round;

    fn enter<C: Contestant>(&mut self) -> Result<Round, Failure> {
        let lifetime = match C::AGAIN {
            Some(Again::Asked) => 3600,
            Some(Again::Lifetime(seconds)) => seconds,
            None => return Err("it renews when it wants to".into()),
        };
        let server = self.server;
        server.set(Duration::ZERO, lifetime)?;
        let contestant: &'static C = Box::leak(Box::new(ready::<C>(&server, self.runtime)?));
        self.runtime.block_on(contestant.with_new(check))??;
        let handle = self.runtime.handle().clone();
        Ok(Box::new(move || {
            server.set(Duration::ZERO, lifetime)?;
            let time = if C::BLOCKS {
                alone(refreshes(contestant))
            } else {
                alone(handle.spawn(refreshes(contestant)))?
            }?;
            let counts = server.counts()?;
            if counts.tokens != u64::from(CALLS) {
                return Err(format!("{} {CALLS} times: {counts:?}", C::CALL).into());
            }
            Ok((time, counts.connections))
        }))
    }
}

/// The section.
///
/// # Errors
/// If a contestant that took part fails.
pub fn run(server: &Server) -> Result<Report, Failure> {
    let runtime = runtime()?;
    let mut entries = fetchers(&mut Refreshed {
        server: *server,
        runtime: &runtime,
    });
    let mut rounds = vec![Vec::new(); entries.len()];
    for round in 0..=ROUNDS {
        for (entry, rounds) in entries.iter_mut().zip(&mut rounds) {
            let Ok(measure) = &mut entry.result else {
                continue;
            };
            let seen = measure()?;
            if round > 0 {
                rounds.push(seen);
            }
        }
    }
    let mut report = Report::default();
    let floor = rounds[0].clone();
    let mut rows = Vec::new();
    let mut cells = Vec::new();
    for (entry, rounds) in entries.iter().zip(rounds) {
        let mut row = vec![entry.library.name().to_owned(), entry.call.to_owned()];
        match &entry.result {
            Err(why) => row.push(format!("left out: {why}")),
            Ok(_) => {
                let ratio = rounds
                    .iter()
                    .zip(&floor)
                    .map(|(seen, floor)| seen.0 / floor.0);
                let ratio = Spread::of(ratio);
                let opened = rounds.iter().map(|seen| seen.1 as f64 / f64::from(CALLS));
                let opened = Spread::of(opened).at(1.0);
                let time = Spread::of(rounds.iter().map(|seen| seen.0));
                row.extend([time.to_string(), ratio.to_string(), short(opened)]);
                let and = if opened > 0.0 {
                    ", by a new connection"
                } else {
                    ""
                };
                let cell = format!("{} µs{and}", short(time.median()));
                cells.push((entry, cell, ratio.median(), opened));
            }
        }
        rows.push(row);
    }
    let head = [
        "library",
        "call",
        "µs",
        "times the floor",
        "connections for each",
    ];
    report.table(&head, rows);
    for (way, call) in [("blocking", "blocking"), ("async", "await")] {
        let what = format!("refresh, connection open, {way}");
        let mut row = Row::new(what, "≤ 2 times the floor");
        for (entry, cell, ratio, opened) in &cells {
            if entry.call.contains(call) || entry.library == Library::Floor {
                row = row.cell(entry.library, cell);
                if entry.library == Library::GceAuth {
                    row = row.met(*ratio <= 2.0 && *opened == 0.0);
                }
            }
        }
        report.row(row);
    }
    Ok(report)
}
