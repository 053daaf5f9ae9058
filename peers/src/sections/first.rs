//! The first token of new credentials: in a program that runs, and in one that
//! has just begun.

use std::{env, process::Command, thread, time::Instant};

use tokio::runtime::{Handle, Runtime};

use crate::{
    contestant::{Contestant, Failure, Library},
    field::{Event, fetchers},
    report::{Report, Row},
    sections::{PAUSE, alone, check, runtime},
    server::{Counts, Server},
    spread::{Spread, short},
};

const ROUNDS: usize = 100;

/// Microseconds.
type Round = Box<dyn FnMut() -> Result<f64, Failure>>;

struct First<'a> {
    server: Server,
    runtime: &'a Runtime,
}

async fn fetch<C: Contestant>(server: Server) -> Result<f64, Failure> {
    let begun = Instant::now();
    let contestant = C::new(server.address).await?;
    contestant.with(check).await??;
    Ok(begun.elapsed().as_secs_f64() * 1e6)
}

/// As its users would: on a thread that blocks, or in a task as servers have
/// them.
fn fetched<C: Contestant>(server: Server, runtime: &Handle) -> Result<f64, Failure> {
    if C::BLOCKS {
        alone(fetch::<C>(server))
    } else {
        alone(runtime.spawn(fetch::<C>(server)))?
    }
}

/// Whether there was one request for a token, over a connection made for it.
fn once(call: &str, counts: &Counts) -> Result<(), Failure> {
    if (counts.tokens, counts.connections) != (1, 1) {
        return Err(format!("{call} asked otherwise: {counts:?}").into());
    }
    Ok(())
}

impl Event for First<'_> {
    type Output = Round;

    fn enter<C: Contestant>(&mut self) -> Result<Round, Failure> {
        let (server, handle) = (self.server, self.runtime.handle().clone());
        self.runtime.block_on(fetch::<C>(server))?;
        Ok(Box::new(move || {
            // Its code has left the caches while others had their turn; the
            // floor's has not, as the server is turned by code like it. So all
            // do it once before.
            fetched::<C>(server, &handle)?;
            server.hang_up()?;
            // Neither has a program that has just begun a thread that stayed.
            thread::sleep(PAUSE);
            let took = fetched::<C>(server, &handle)?;
            once(C::CALL, &server.counts()?)?;
            Ok(took)
        }))
    }
}

/// One contestant's first token, in this process, which has done nothing else.
struct Begun<'a> {
    server: Server,
    runtime: &'a Runtime,
    wanted: usize,
    entered: usize,
}

impl Event for Begun<'_> {
    type Output = Option<f64>;

    fn enter<C: Contestant>(&mut self) -> Result<Option<f64>, Failure> {
        self.entered += 1;
        if self.entered - 1 != self.wanted {
            return Ok(None);
        }
        fetched::<C>(self.server, self.runtime.handle()).map(Some)
    }
}

/// Prints the microseconds that one contestant's first token takes in this
/// process. What [`run`] starts; `contestant` is a place in the field.
///
/// # Errors
/// If it gets none.
pub fn begin(server: Server, contestant: usize) -> Result<f64, Failure> {
    let runtime = runtime()?;
    let entries = fetchers(&mut Begun {
        server,
        runtime: &runtime,
        wanted: contestant,
        entered: 0,
    });
    let entry = entries
        .into_iter()
        .nth(contestant)
        .ok_or("no such contestant")?;
    entry.result?.ok_or_else(|| "it had no turn".into())
}

/// The same, in a process of its own.
fn begun(contestant: usize, server: &Server) -> Result<f64, Failure> {
    let output = Command::new(env::current_exe()?)
        .args([
            "begin",
            &contestant.to_string(),
            &server.address.to_string(),
        ])
        .output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    Ok(String::from_utf8(output.stdout)?.trim().parse()?)
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
    let mut running = vec![Vec::new(); entries.len()];
    let mut new = running.clone();
    for _ in 0..ROUNDS {
        for (place, entry) in entries.iter_mut().enumerate() {
            if let Ok(measure) = &mut entry.result {
                running[place].push(measure()?);
                new[place].push(begun(place, server)?);
                once(entry.call, &server.counts()?)?;
            }
        }
    }
    let mut report = Report::default();
    // Each round with the floor of the same moment.
    let ratio = |times: &[Vec<f64>], place: usize| {
        Spread::of(
            times[place]
                .iter()
                .zip(&times[0])
                .map(|(time, floor)| time / floor),
        )
    };
    let mut rows = Vec::new();
    for (place, entry) in entries.iter().enumerate() {
        let mut row = vec![entry.library.name().to_owned(), entry.call.to_owned()];
        match &entry.result {
            Err(why) => row.push(format!("left out: {why}")),
            Ok(_) => {
                for times in [&running, &new] {
                    let time = Spread::of(times[place].iter().copied());
                    row.extend([time.to_string(), ratio(times, place).to_string()]);
                }
            }
        }
        rows.push(row);
    }
    let head = [
        "library",
        "call",
        "µs",
        "times the floor",
        "in a new process, µs",
        "times the floor",
    ];
    report.table(&head, rows);
    for (what, times) in [
        ("first token", &running),
        ("first token of a new process", &new),
    ] {
        for (way, call, most) in [("blocking", "blocking", 1.5), ("async", "await", 2.5)] {
            let mut row = Row::new(
                format!("{what}, {way}"),
                format!("≤ {most} times the floor"),
            );
            for (place, entry) in entries.iter().enumerate() {
                let floor = entry.library == Library::Floor;
                if entry.result.is_ok() && (floor || entry.call.contains(call)) {
                    let time = Spread::of(times[place].iter().copied()).median();
                    row = row.cell(entry.library, format!("{} µs", short(time)));
                    if entry.library == Library::GceAuth {
                        row = row.met(ratio(times, place).median() <= most);
                    }
                }
            }
            report.row(row);
        }
    }
    Ok(report)
}
