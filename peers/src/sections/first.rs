//! The first token of new credentials: what a program pays that has just begun.

use std::time::Instant;

use tokio::runtime::Runtime;

use crate::{
    contestant::{Contestant, Failure, Library},
    field::{Event, fetchers},
    report::{Report, Row},
    sections::{alone, check, runtime},
    server::Server,
    spread::{Spread, short},
};

const ROUNDS: usize = 150;

/// Microseconds.
type Round = Box<dyn FnMut() -> Result<f64, Failure>>;

struct First<'a> {
    server: Server,
    runtime: &'a Runtime,
}

async fn first<C: Contestant>(server: Server) -> Result<f64, Failure> {
    server.hang_up()?;
    let begun = Instant::now();
    let contestant = C::new(server.address).await?;
    contestant.with(check).await??;
    let took = begun.elapsed();
    let counts = server.counts()?;
    if (counts.tokens, counts.connections) != (1, 1) {
        return Err(format!("{} asked otherwise: {counts:?}", C::CALL).into());
    }
    Ok(took.as_secs_f64() * 1e6)
}

impl Event for First<'_> {
    type Output = Round;

    fn enter<C: Contestant>(&mut self) -> Result<Round, Failure> {
        let (server, handle) = (self.server, self.runtime.handle().clone());
        self.runtime.block_on(first::<C>(server))?;
        Ok(Box::new(move || {
            if C::BLOCKS {
                alone(first::<C>(server))
            } else {
                // A task, as a server has them.
                alone(handle.spawn(first::<C>(server)))?
            }
        }))
    }
}

/// The section.
///
/// # Errors
/// If a contestant that took part fails.
pub fn run(server: &Server) -> Result<Report, Failure> {
    let runtime = runtime()?;
    let mut entries = fetchers(&mut First {
        server: *server,
        runtime: &runtime,
    });
    let mut times = vec![Vec::new(); entries.len()];
    for _ in 0..ROUNDS {
        for (entry, times) in entries.iter_mut().zip(&mut times) {
            if let Ok(measure) = &mut entry.result {
                times.push(measure()?);
            }
        }
    }
    let mut report = Report::default();
    let floor = times[0].clone();
    let mut rows = Vec::new();
    let mut cells = Vec::new();
    for (entry, times) in entries.iter().zip(times) {
        let mut row = vec![entry.library.name().to_owned(), entry.call.to_owned()];
        match &entry.result {
            Err(why) => row.push(format!("left out: {why}")),
            Ok(_) => {
                // Each round with the floor of the same moment.
                let ratio = Spread::of(times.iter().zip(&floor).map(|(time, floor)| time / floor));
                let time = Spread::of(times);
                row.extend([time.to_string(), ratio.to_string()]);
                cells.push((entry, time.median(), ratio.median()));
            }
        }
        rows.push(row);
    }
    report.table(&["library", "call", "µs", "times the floor"], rows);
    for (way, call, most) in [("blocking", "blocking", 1.5), ("async", "await", 2.5)] {
        let mut row = Row::new(
            format!("first token, {way}"),
            format!("≤ {most} times the floor"),
        );
        for (entry, time, ratio) in &cells {
            let ours = entry.library == Library::GceAuth;
            if entry.call.contains(call) || entry.library == Library::Floor {
                row = row.cell(entry.library, format!("{} µs", short(*time)));
                row = if ours { row.met(*ratio <= most) } else { row };
            }
        }
        report.row(row);
    }
    Ok(report)
}
