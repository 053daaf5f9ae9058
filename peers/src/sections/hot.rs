//! A valid token is in hand: what a header costs, on one thread. Time, and
//! what does not depend on the machine: instructions and allocations, which
//! programs of their own count.

use std::{env, hint::black_box, path::PathBuf, process::Command, time::Instant};

use tokio::runtime::Runtime;

use crate::{
    contestant::{Contestant, Failure, Library},
    contestants::floor::Nothing,
    field::{Entry, Event, readers},
    process::callgrind,
    report::{Report, Row},
    sections::{alone, look, ready, runtime},
    server::Server,
    spread::{Spread, short},
};

const ROUNDS: usize = 60;
const CALLS: u32 = 20_000;
/// In the place of a reader's number.
const NOTHING: &str = "nothing";

type Round = Box<dyn FnMut() -> Result<f64, Failure>>;

struct Timed<'a> {
    server: &'a Server,
    runtime: &'a Runtime,
}

impl Event for Timed<'_> {
    type Output = Round;

    fn enter<C: Contestant>(&mut self) -> Result<Round, Failure> {
        let contestant = ready::<C>(self.server, self.runtime)?;
        let handle = self.runtime.handle().clone();
        Ok(Box::new(move || {
            let _within = handle.enter();
            let begun = Instant::now();
            alone(async {
                for _ in 0..CALLS {
                    black_box(&contestant).with(look).await?;
                }
                Ok::<_, Failure>(())
            })?;
            Ok(begun.elapsed().as_nanos() as f64 / f64::from(CALLS))
        }))
    }
}

/// The section.
///
/// # Errors
/// If a contestant that took part fails.
pub fn run(server: &Server) -> Result<Report, Failure> {
    let runtime = runtime()?;
    let mut entries = readers(&mut Timed {
        server,
        runtime: &runtime,
    });
    let mut times = vec![Vec::new(); entries.len()];
    // All in turn, so that whatever else the machine does hits all alike.
    for round in 0..=ROUNDS {
        for (entry, times) in entries.iter_mut().zip(&mut times) {
            let Ok(measure) = &mut entry.result else {
                continue;
            };
            let time = measure()?;
            if round > 0 {
                times.push(time);
            }
        }
    }
    let allocations = allocations(&["hot"])?;
    let around = instructions(NOTHING)?;
    let mut report = Report::default();
    let mut rows = Vec::new();
    let mut results = Vec::new();
    for (index, (entry, times)) in entries.iter().zip(times).enumerate() {
        let mut row = vec![entry.library.name().to_owned(), entry.call.to_owned()];
        match &entry.result {
            Err(why) => row.extend([format!("left out: {why}"), String::new(), String::new()]),
            Ok(_) => {
                let time = Spread::of(times);
                let instructions = instructions(&index.to_string())?;
                let instructions = instructions.zip(around).map(|(call, around)| call - around);
                let allocations = *allocations.get(index).ok_or("no count of allocations")?;
                row.push(time.to_string());
                row.push(instructions.map_or("–".to_owned(), short));
                row.push(short(allocations));
                results.push((entry, time.median(), instructions, allocations));
            }
        }
        rows.push(row);
    }
    report.table(
        &["library", "call", "ns", "instructions", "allocations"],
        rows,
    );
    let ways = [
        ("borrowed", &["borrowed"][..], 25.0, 150.0),
        (
            "cloned",
            &["cloned", "headers(..)", "the token"][..],
            35.0,
            200.0,
        ),
    ];
    for (way, calls, time_aim, instructions_aim) in ways {
        let target = format!("≤ {time_aim} ns, {instructions_aim} instructions, 0 allocations");
        let mut row = Row::new(format!("a header while the token is good, {way}"), target);
        let mut met = true;
        for library in Library::ALL {
            // The dearest of its calls that are of this kind.
            let of_kind = |entry: &Entry<Round>| {
                entry.library == library && calls.iter().any(|call| entry.call.contains(call))
            };
            let of_kind = results.iter().filter(|result| of_kind(result.0));
            let dearest = of_kind.max_by(|one, other| one.1.total_cmp(&other.1));
            let Some((_, time, instructions, allocations)) = dearest else {
                continue;
            };
            let counted =
                instructions.map_or(String::new(), |count| format!(", {} instr.", short(count)));
            row = row.cell(
                library,
                format!(
                    "{} ns{counted}, {} alloc.",
                    short(*time),
                    short(*allocations)
                ),
            );
            if library == Library::GceAuth {
                met = *time <= time_aim
                    && *allocations == 0.0
                    && instructions.is_none_or(|count| count <= instructions_aim);
            }
        }
        report.row(row.met(met));
    }
    Ok(report)
}

/// What [`crate`]'s program of this name counts, number by number.
///
/// # Errors
/// If it fails.
pub fn allocations(arguments: &[&str]) -> Result<Vec<f64>, Failure> {
    let output = Command::new(beside("allocations")?)
        .args(arguments)
        .output()?;
    let text = String::from_utf8(output.stdout)?;
    if !output.status.success() {
        return Err(String::from_utf8(output.stderr)?.into());
    }
    text.lines().map(|line| Ok(line.parse()?)).collect()
}

/// Instructions of one call of this reader, with the loop around it; `None`
/// where there is no valgrind.
fn instructions(reader: &str) -> Result<Option<f64>, Failure> {
    let options = ["--collect-atstart=no", "--toggle-collect=*counted_calls*"];
    let arguments = ["calls".to_owned(), reader.to_owned()];
    let counted = callgrind(&env::current_exe()?, &arguments, &options)?;
    Ok(counted.map(|(total, _)| (total / f64::from(CALLS)).round()))
}

/// The function that callgrind counts.
#[inline(never)]
fn counted_calls<C: Contestant>(contestant: &C) -> Result<(), Failure> {
    alone(async {
        for _ in 0..CALLS {
            black_box(contestant).with(look).await?;
        }
        Ok(())
    })
}

struct Counted<'a> {
    server: &'a Server,
    runtime: &'a Runtime,
    wanted: usize,
    seen: usize,
}

impl Event for Counted<'_> {
    type Output = ();

    fn enter<C: Contestant>(&mut self) -> Result<(), Failure> {
        self.seen += 1;
        if self.seen != self.wanted + 1 {
            return Ok(());
        }
        let contestant = ready::<C>(self.server, self.runtime)?;
        let _within = self.runtime.enter();
        alone(contestant.with(look))?;
        counted_calls(&contestant)
    }
}

/// Has the reader of this number called, or what does nothing, for callgrind to
/// count.
///
/// # Errors
/// If it fails.
pub fn calls(server: &Server, wanted: &str) -> Result<(), Failure> {
    let runtime = runtime()?;
    if wanted == NOTHING {
        return counted_calls(&Nothing);
    }
    let wanted = wanted.parse()?;
    let entries = readers(&mut Counted {
        server,
        runtime: &runtime,
        wanted,
        seen: 0,
    });
    entries.into_iter().try_for_each(|entry| Ok(entry.result?))
}

/// Another program of this crate.
fn beside(name: &str) -> Result<PathBuf, Failure> {
    Ok(env::current_exe()?.with_file_name(name))
}
