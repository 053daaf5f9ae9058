//! The server's own benches: values and tokens per second beside bare hyper,
//! and what ten thousand waiting requests take.

use std::{env, process::Command};

use crate::{
    contestant::{Failure, Library},
    report::{Report, Row},
    server::Server,
};

fn bench(name: &str) -> Result<String, Failure> {
    let main = env::var("PEERS_MAIN").map_err(|_| "PEERS_MAIN is not set: use peers/run")?;
    let output = Command::new("cargo")
        .args([
            "bench",
            "--quiet",
            "--offline",
            "--locked",
            "--package",
            "gce-auth-server",
        ])
        .args([
            "--manifest-path",
            "../Cargo.toml",
            "--target-dir",
            &main,
            "--bench",
            name,
        ])
        .output()?;
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
        let first = |cell: &str| cell.split([' ', '%']).next().unwrap_or_default().to_owned();
        let share: f64 = first(share).parse()?;
        report.row(
            Row::new(
                format!("emulator, {what}s per second, 32 connections"),
                format!("≥ {least} % of bare hyper"),
            )
            .cell(Library::GceAuth, format!("{} ({share} %)", first(rate)))
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
    let awake = waiters
        .lines()
        .find_map(|line| line.strip_prefix("all awake after "));
    let awake = awake
        .and_then(|rest| rest.split(' ').next())
        .ok_or("nobody awoke")?;
    let each = waiters
        .lines()
        .find_map(|line| line.split_once("for each: "));
    let each = each.map_or("", |(_, bytes)| bytes);
    let milliseconds = match (awake.strip_suffix("ms"), awake.strip_suffix("µs")) {
        (Some(ms), _) => ms.parse()?,
        (_, Some(us)) => us.parse::<f64>()? / 1e3,
        _ => f64::INFINITY,
    };
    report.row(
        Row::new(
            "emulator, 10,000 waiting requests",
            "all woken within 200 ms",
        )
        .cell(Library::GceAuth, format!("{awake}, {each} each"))
        .met(milliseconds <= 200.0),
    );
    Ok(report)
}
