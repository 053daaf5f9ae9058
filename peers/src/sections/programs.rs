//! The smallest programs that print a token: what they are made of, and what
//! they take.

use std::{env, fs, path::PathBuf, process::Command};

use crate::{
    contestant::{Failure, Library},
    process::Program,
    report::{Report, Row},
    server::Server,
    spread::{Spread, short},
};

const ROUNDS: usize = 5;

/// A folder that `run` names in the environment.
fn folder(variable: &str) -> Result<PathBuf, Failure> {
    let folder = env::var(variable).map_err(|_| format!("{variable} is not set: use peers/run"))?;
    Ok(folder.into())
}

/// A program that `run` has built and installed.
///
/// # Errors
/// If it was not.
pub fn program(name: &str, arguments: &[&str]) -> Result<Program, Failure> {
    Program::new(folder("PEERS_INSTALLED")?.join(name), arguments)
}

fn crates(package: &str) -> Result<usize, Failure> {
    let tree = [
        "tree",
        "--offline",
        "--locked",
        "--edges",
        "normal,build",
        "--prefix",
        "none",
    ];
    let output = Command::new("cargo")
        .args(tree)
        .args(["--package", package])
        .output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    let text = String::from_utf8(output.stdout)?;
    let name = |line: &str| line.split(' ').take(2).collect::<Vec<_>>().join(" ");
    let mut names: Vec<String> = text
        .lines()
        .filter(|line| !line.is_empty())
        .map(name)
        .collect();
    names.sort();
    names.dedup();
    // Without the program.
    Ok(names.len() - 1)
}

/// The section.
///
/// # Errors
/// If a program fails.
pub fn run(_: &Server) -> Result<Report, Failure> {
    let mut report = Report::default();
    let mut rows = Vec::new();
    let mut row = Row::new(
        "the smallest program that prints a token",
        "≤ 20 crates, 800 KB, 20 CPU s to build, 0.8 M instructions, 3 MiB",
    );
    for (library, name) in [
        (Library::Floor, "floor"),
        (Library::GceAuth, "program-gce-auth"),
        (Library::GoogleCloudAuth, "program-google-cloud-auth"),
    ] {
        let Ok(program) = program(name, &[]) else {
            continue;
        };
        let crates = crates(name)?;
        let kilobytes = fs::metadata(&program.path)?.len() as f64 / 1000.0;
        let seconds = fs::read_to_string(folder("PEERS_CLEAN")?.join(name).join("seconds"))?;
        let seconds: f64 = seconds
            .split_whitespace()
            .map(|part| part.parse().unwrap_or(f64::NAN))
            .sum();
        program.time()?;
        let mut counts = Vec::new();
        let mut peaks = Vec::new();
        for _ in 0..ROUNDS {
            counts.extend(program.instructions()?);
            peaks.push(program.peak()?);
        }
        let peak = Spread::of(peaks);
        let millions = counts.iter().map(|count| count / 1e6);
        let millions = (!counts.is_empty()).then(|| Spread::of(millions));
        let counted = millions.as_ref().map_or("–".to_owned(), Spread::to_string);
        rows.push(vec![
            library.name().to_owned(),
            crates.to_string(),
            short(kilobytes),
            short(seconds),
            counted,
            peak.to_string(),
        ]);
        let millions = millions.map(|millions| millions.median());
        row = row.cell(
            library,
            format!(
                "{crates} crates, {} KB, {} CPU s, {} M instr., {} MiB",
                short(kilobytes),
                short(seconds),
                millions.map_or("–".to_owned(), short),
                short(peak.median()),
            ),
        );
        if library == Library::GceAuth {
            let met = crates <= 20
                && kilobytes <= 800.0
                && seconds <= 20.0
                && millions.is_none_or(|millions| millions <= 0.8)
                && peak.median() <= 3.0;
            row = row.met(met);
        }
    }
    let head = [
        "library",
        "crates",
        "size, KB",
        "clean build, CPU s",
        "instructions, million",
        "peak memory, MiB",
    ];
    report.table(&head, rows);
    report.row(row);
    Ok(report)
}
