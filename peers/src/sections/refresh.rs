//! A new token, where the connection is open already: what a refresh costs.

use std::{
    thread,
    time::{Duration, Instant},
};

use tokio::runtime::Runtime;

use crate::{
    contestant::{Again, Contestant, Failure, Library},
    field::{Event, fetchers},
    report::{Report, Row},
    sections::{PAUSE, alone, check, ready, runtime, steps},
    server::Server,
    spread::{Spread, short},
};

const ROUNDS: usize = 40;
const CALLS: u32 = 50;

/// What a round of one contestant gave.
#[derive(Clone, Copy)]
struct Seen {
    /// Microseconds of a refresh, of [`CALLS`] without a pause.
    each: f64,
    /// Microseconds of one after a pause, as a program has them by the hour.
    seldom: f64,
    /// Connections that all of them took.
    connections: u64,
}

type Round = Box<dyn FnMut() -> Result<Seen, Failure>>;

struct Refreshed<'a> {
    server: Server,
    runtime: &'a Runtime,
}

async fn refreshes<C: Contestant>(contestant: &C, calls: u32) -> Result<f64, Failure> {
    let begun = Instant::now();
    for _ in 0..calls {
        contestant.with_new(check).await??;
    }
    Ok(begun.elapsed().as_secs_f64() * 1e6 / f64::from(calls))
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
            let refreshed = |calls| -> Result<f64, Failure> {
                if C::BLOCKS {
                    alone(refreshes(contestant, calls))
                } else {
                    alone(handle.spawn(refreshes(contestant, calls)))?
                }
            };
            server.set(Duration::ZERO, lifetime)?;
            let each = refreshed(CALLS)?;
            thread::sleep(PAUSE);
            let seldom = refreshed(1)?;
            let counts = server.counts()?;
            if counts.tokens != u64::from(CALLS + 1) {
                return Err(format!("{} {CALLS} times and once: {counts:?}", C::CALL).into());
            }
            Ok(Seen {
                each,
                seldom,
                connections: counts.connections,
            })
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
                let of = |measured: fn(&Seen) -> f64| {
                    let time = Spread::of(rounds.iter().map(measured));
                    let pairs = rounds.iter().zip(&floor);
                    let ratio = pairs.map(|(seen, floor)| measured(seen) / measured(floor));
                    (time, Spread::of(ratio))
                };
                let (time, ratio) = of(|seen| seen.each);
                let (seldom, times) = of(|seen| seen.seldom);
                let opened = rounds
                    .iter()
                    .map(|seen| seen.connections as f64 / f64::from(CALLS + 1));
                let opened = Spread::of(opened).at(1.0);
                row.extend([&time, &ratio, &seldom, &times].map(ToString::to_string));
                row.push(short(opened));
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
        "after a pause, µs",
        "times the floor",
        "connections for each",
    ];
    report.table(&head, rows);
    steps::measure(&runtime)?.tell(&mut report);
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
