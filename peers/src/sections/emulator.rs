//! The server's own benches: values and tokens per second beside bare hyper,
//! and what ten thousand waiting requests take.

use std::{env, path::Path, process::Command};

use crate::{
    contestant::{Failure, Library},
    report::{Report, Row},
    server::Server,
    spread::short,
};

/// What a bench prints that `run` has built.
pub(crate) fn bench(name: &str) -> Result<String, Failure> {
    let built = env::var("PEERS_BENCHES").map_err(|_| "PEERS_BENCHES is not set: use peers/run")?;
    let output = Command::new(Path::new(&built).join(name)).output()?;
    if !output.status.success() {
        return Err(format!("{name}: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// The section.
///
/// # Errors
/// If a bench fails.
pub fn run(_: &Server) -> Result<Report, Failure> {
    let mut report = Report::default();
    let throughput = bench("throughput")?;
    report.paragraph(&throughput);
    for (what, least) in [("value", 70.0), ("token", 50.0)] {
        let line = throughput.lines().find(|line| line.contains(what));
        let cells: Vec<&str> = line.unwrap_or_default().split('|').map(str::trim).collect();
        let [_, _, rate, share, ..] = cells[..] else {
            return Err(format!("no {what}s in {throughput}").into());
        };
        let first = |cell: &str| cell.split(' ').next().unwrap_or_default().parse::<f64>();
        let (rate, share) = (first(rate)?, first(share)?);
        report.row(
            Row::new(
                format!("emulator, {what}s per second, 32 connections"),
                format!("≥ {least} % of bare hyper"),
            )
            .cell(Library::GceAuth, format!("{} ({share} %)", short(rate)))
            .cell(Library::Floor, "bare hyper: 100 %")
            .met(share >= least),
        );
    }
    let waiters = bench("waiters")?;
    let lines = waiters.lines().filter(|line| !line.is_empty());
    report.paragraph(
        &lines
            .map(|line| format!("- {line}"))
            .collect::<Vec<_>>()
            .join("\n"),
    );
    let after = |words: &str| {
        let line = waiters.lines().find_map(|line| line.split_once(words));
        let number = line.and_then(|(_, rest)| rest.split(' ').next());
        Ok::<f64, Failure>(number.ok_or_else(|| format!("no {words}"))?.parse()?)
    };
    let (awake, each) = (after("all awake after ")?, after("for each: ")?);
    report.row(
        Row::new(
            "emulator, 10,000 waiting requests",
            "all woken within 200 ms",
        )
        .cell(
            Library::GceAuth,
            format!("{} ms, {} bytes each", short(awake), short(each)),
        )
        .met(awake <= 200.0),
    );
    Ok(report)
}
