//! The hot path again, from several threads at once: does it scale, or do the
//! threads fight for something that they share?

use std::{
    sync::{
        Arc, Barrier,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use tokio::runtime::Runtime;

use crate::{
    contestant::{Contestant, Failure, Library},
    field::{Event, readers},
    report::{Report, Row},
    sections::{alone, look, ready, runtime},
    server::Server,
    spread::{Spread, short},
};

const THREADS: [usize; 4] = [1, 2, 8, 64];
const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_millis(150);

/// Millions of calls in a second, from so many threads.
type Round = Box<dyn Fn(usize) -> Result<f64, Failure>>;

struct Together<'a> {
    server: &'a Server,
    runtime: &'a Runtime,
}

impl Event for Together<'_> {
    type Output = Round;

    fn enter<C: Contestant>(&mut self) -> Result<Round, Failure> {
        let contestant = Arc::new(ready::<C>(self.server, self.runtime)?);
        let handle = self.runtime.handle().clone();
        Ok(Box::new(move |threads| {
            let stop = Arc::new(AtomicBool::new(false));
            let barrier = Arc::new(Barrier::new(threads + 1));
            let running: Vec<_> = (0..threads)
                .map(|_| {
                    let (contestant, handle) = (Arc::clone(&contestant), handle.clone());
                    let (stop, barrier) = (Arc::clone(&stop), Arc::clone(&barrier));
                    thread::spawn(move || {
                        let _within = handle.enter();
                        alone(async {
                            for _ in 0..3 {
                                contestant.with(look).await?;
                            }
                            barrier.wait();
                            let begun = Instant::now();
                            let mut calls = 0_u64;
                            while !stop.load(Relaxed) {
                                for _ in 0..64 {
                                    contestant.with(look).await?;
                                }
                                calls += 64;
                            }
                            Ok::<_, Failure>((begun, Instant::now(), calls))
                        })
                    })
                })
                .collect();
            barrier.wait();
            thread::sleep(ROUND);
            stop.store(true, Relaxed);
            // This thread may have had to wait for a processor itself: each
            // of them says when it began and ended.
            let mut seen = Vec::with_capacity(threads);
            for thread in running {
                seen.push(thread.join().map_err(|_| "a caller panicked")??);
            }
            let first = seen.iter().map(|seen| seen.0).min().ok_or("no thread")?;
            let last = seen.iter().map(|seen| seen.1).max().ok_or("no thread")?;
            let took = last - first;
            let calls: u64 = seen.iter().map(|seen| seen.2).sum();
            Ok(calls as f64 / took.as_secs_f64() / 1e6)
        }))
    }
}

/// The section.
///
/// # Errors
/// If a contestant that took part fails.
pub fn run(server: &Server) -> Result<Report, Failure> {
    let runtime = runtime()?;
    let entries = readers(&mut Together {
        server,
        runtime: &runtime,
    });
    let mut rates = vec![[const { Vec::new() }; THREADS.len()]; entries.len()];
    for _ in 0..ROUNDS {
        for (entry, rates) in entries.iter().zip(&mut rates) {
            let Ok(measure) = &entry.result else { continue };
            for (threads, rates) in THREADS.into_iter().zip(rates) {
                rates.push(measure(threads)?);
            }
        }
    }
    let mut report = Report::default();
    let mut rows = Vec::new();
    let mut slowest = Vec::new();
    for (entry, rates) in entries.iter().zip(rates) {
        let mut row = vec![entry.library.name().to_owned(), entry.call.to_owned()];
        match &entry.result {
            Err(why) => row.push(format!("left out: {why}")),
            Ok(_) => {
                let rates = rates.map(Spread::of);
                row.extend(rates.iter().map(Spread::to_string));
                let [one, several @ ..] = rates.map(|rate| rate.median());
                let least = several.into_iter().fold(f64::INFINITY, f64::min);
                slowest.push((entry, one, least));
            }
        }
        rows.push(row);
    }
    let head = [
        "library",
        "call",
        "1 thread",
        "2 threads",
        "8 threads",
        "64 threads",
    ];
    report.table(&head, rows);
    for (way, calls, least) in [
        ("borrowed", &["borrowed"][..], 60.0),
        ("cloned", &["cloned", "headers(..)", "the token"][..], 40.0),
    ] {
        let target = format!("≥ {least} M/s, and not less than one thread");
        let mut row = Row::new(
            format!("headers from 2, 8 or 64 threads, {way}: the least"),
            target,
        );
        let mut met = true;
        for library in Library::ALL {
            let of_kind = slowest.iter().filter(|rate| {
                rate.0.library == library && calls.iter().any(|call| rate.0.call.contains(call))
            });
            let dearest = of_kind.min_by(|one, other| one.2.total_cmp(&other.2));
            let Some((_, one, several)) = dearest else {
                continue;
            };
            row = row.cell(library, format!("{} M/s", short(*several)));
            if library == Library::GceAuth {
                met = several >= &least && several >= one;
            }
        }
        report.row(row.met(met));
    }
    Ok(report)
}
