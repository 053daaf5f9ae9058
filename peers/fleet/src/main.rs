//! A fleet of instances for a day: what their metadata servers and IAM are
//! asked, with the thresholds, jitter and retries of this library, of google-auth
//! and of google-cloud-auth. It writes the page `docs::scale`.
//!
//! Seeded, and no clock is read: the same numbers every time.

#![allow(unreachable_pub, reason = "modules of a program")]

mod chance;
mod clients;
mod day;
mod figures;
mod page;
mod plot;
mod replay;
#[cfg(test)]
mod tests;
mod world;

use std::{fs, path::Path, process::ExitCode};

use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::{
    clients::ours::Ours,
    day::{CACHE_MARGIN, OUTAGE},
    world::{HOUR, MINUTE, Time},
};

const USAGE: &str = "\
Plays a day of many instances and prints what IAM and the metadata servers are asked.

Usage: fleet [--instances N] [--seed N] [--write | --check]

  --instances N  how many (default: 1000000)
  --seed N       where chance begins (default: 1)
  --write        write the page and the plot of the library's documentation
  --check        fail if they are not what would be written
  --help         this
";

/// Rounding: the library counts in nanoseconds, the model in microseconds.
const ROUNDING: Time = 100;

fn main() -> ExitCode {
    match Order::read(std::env::args().skip(1)).and_then(|order| order.as_ref().map_or(Ok(()), run))
    {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("fleet: {message}");
            ExitCode::FAILURE
        }
    }
}

/// What is to be done.
#[derive(Debug)]
struct Order {
    instances: u64,
    seed: u64,
    write: bool,
    check: bool,
}

impl Order {
    /// `None` if the arguments ask for help.
    fn read(mut arguments: impl Iterator<Item = String>) -> Result<Option<Self>, String> {
        let mut order = Self {
            instances: 1_000_000,
            seed: 1,
            write: false,
            check: false,
        };
        while let Some(argument) = arguments.next() {
            let mut number = || {
                let value = arguments.next();
                let value = value.ok_or_else(|| format!("{argument} needs a number"))?;
                let read: Result<u64, _> = value.parse();
                read.map_err(|_| format!("{argument} needs a number, not {value:?}"))
            };
            match argument.as_str() {
                "--instances" => order.instances = number()?.max(1),
                "--seed" => order.seed = number()?,
                "--write" => order.write = true,
                "--check" => order.check = true,
                "--help" | "-h" => {
                    print!("{USAGE}");
                    return Ok(None);
                }
                _ => return Err(format!("no argument is called {argument:?}; see --help")),
            }
        }
        Ok(Some(order))
    }
}

fn run(order: &Order) -> Result<(), String> {
    hold_against_the_library(order.seed)?;
    let figures = figures::play(order.instances, order.seed);
    let page = page::page(&figures, Ours::default().jitter);
    let plot = page::plot(&figures);
    let link = format!(
        "[plot]: data:image/svg+xml;base64,{}\n",
        STANDARD.encode(&plot)
    );
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../gce-auth/src/docs");
    let files = [
        (docs.join("scale.md"), &page),
        (docs.join("scale.svg"), &plot),
        (docs.join("scale.link"), &link),
    ];
    if !order.write && !order.check {
        print!("{page}");
    }
    for (path, text) in files {
        let problem = |error| format!("{}: {error}", path.display());
        if order.write {
            fs::write(&path, text).map_err(problem)?;
        } else if order.check && fs::read_to_string(&path).map_err(problem)? != *text {
            return Err(format!(
                "{} is not what the simulation says; write it anew: {}",
                path.display(),
                page::COMMAND
            ));
        }
    }
    Ok(())
}

/// No figure from a model that does something else than the library.
fn hold_against_the_library(seed: u64) -> Result<(), String> {
    for outage in [0..0, OUTAGE..OUTAGE + HOUR, OUTAGE..OUTAGE + 4 * MINUTE] {
        let replay = replay::day(seed, CACHE_MARGIN, outage.clone());
        let replay = replay.map_err(|error| error.to_string())?;
        let difference = replay.difference()?;
        if difference > ROUNDING {
            return Err(format!(
                "the model is {difference} µs away from the library (outage {outage:?})"
            ));
        }
    }
    Ok(())
}
