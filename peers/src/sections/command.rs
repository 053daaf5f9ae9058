//! A token on the command line: whole programs, from start to end.

use std::{env, fs, path::PathBuf};

use crate::{
    contestant::{Failure, Library},
    process::Program,
    report::{Report, Row},
    sections::programs::program,
    server::Server,
    spread::{Spread, short},
};

const ROUNDS: usize = 40;
/// Those that take long are started less often: once in so many rounds.
const SELDOM: usize = 4;

struct Timed {
    library: Library,
    what: &'static str,
    program: Result<Program, Failure>,
    seldom: bool,
}

/// The path in this variable, which `run` sets where it could make ready what
/// it stands for.
fn made_ready(variable: &str) -> Result<PathBuf, Failure> {
    let path = env::var(variable).map_err(|_| "it could not be installed here")?;
    Ok(path.into())
}

fn contestants() -> Vec<Timed> {
    let clients = |folder: &str, name: &str| {
        let path = made_ready(folder)?.join(name);
        Ok::<_, Failure>(path.display().to_string())
    };
    let python = |script: &str| {
        let script = clients("PEERS_PYTHON_PROGRAMS", script)?;
        Program::new(made_ready("PEERS_PYTHON")?, &[&script])
    };
    let node = || {
        Program::new(
            made_ready("PEERS_NODE")?,
            &[&clients("PEERS_NODE_PROGRAMS", "token.js")?],
        )
    };
    let gcloud = || {
        let path = env::var("PEERS_GCLOUD").map_err(|_| "it is not installed here")?;
        Program::new(path, &["auth", "print-access-token"])
    };
    let one = |library, what, program, seldom| Timed {
        library,
        what,
        program,
        seldom,
    };
    vec![
        one(
            Library::Floor,
            "the floor's smallest program",
            program("floor", &[]),
            false,
        ),
        one(
            Library::GceAuth,
            "`gce-auth token`, the full command",
            program("gce-auth", &["token"]),
            false,
        ),
        one(
            Library::GceAuth,
            "its smallest program",
            program("program-gce-auth", &[]),
            false,
        ),
        one(
            Library::GoogleCloudAuth,
            "its smallest program",
            program("program-google-cloud-auth", &[]),
            false,
        ),
        one(
            Library::Python,
            "`compute_engine.Credentials`",
            python("print_token.py"),
            true,
        ),
        one(
            Library::Python,
            "`google.auth.default()`",
            python("print_default.py"),
            true,
        ),
        one(Library::Node, "`Compute`", node(), true),
        one(
            Library::Gcloud,
            "`gcloud auth print-access-token`",
            gcloud(),
            true,
        ),
    ]
}

/// The section.
///
/// # Errors
/// If a program fails.
pub fn run(_: &Server) -> Result<Report, Failure> {
    let contestants = contestants();
    let mut times = vec![Vec::new(); contestants.len()];
    for round in 0..=ROUNDS {
        for (contestant, times) in contestants.iter().zip(&mut times) {
            let Ok(program) = &contestant.program else {
                continue;
            };
            if contestant.seldom && round % SELDOM != 0 {
                continue;
            }
            let time = program.time()?;
            // The first brings it into memory.
            if round > 0 {
                times.push(time);
            }
        }
    }
    let floor = times[0].clone();
    let floor_median = Spread::of(floor.iter().copied()).median();
    let mut report = Report::default();
    let mut rows = Vec::new();
    let mut summary = Row::new(
        "a token on the command line",
        "≤ 1.5 times the floor, 8 MB of memory",
    );
    for (contestant, times) in contestants.iter().zip(times) {
        let Timed {
            library,
            what,
            program,
            seldom,
        } = contestant;
        let mut row = vec![library.name().to_owned(), (*what).to_owned()];
        match program {
            Err(why) => row.push(format!("left out: {why}")),
            Ok(program) => {
                let ratio = if *seldom {
                    Spread::of(times.iter().map(|time| time / floor_median))
                } else {
                    Spread::of(times.iter().zip(&floor).map(|(time, floor)| time / floor))
                };
                let time = Spread::of(times);
                let megabytes = fs::metadata(&program.path)?.len() as f64 / 1e6;
                let size = if *seldom {
                    "–".to_owned()
                } else {
                    short(megabytes)
                };
                let peak = program.peak()?;
                row.extend([time.to_string(), ratio.to_string(), short(peak), size]);
                let whole = *library != Library::GceAuth || what.contains("full");
                if whole && !what.contains("default") {
                    summary = summary.cell(
                        *library,
                        format!("{} ms, {} MiB", short(time.median()), short(peak)),
                    );
                }
                if whole && *library == Library::GceAuth {
                    summary = summary.met(ratio.median() <= 1.5 && peak * 1.048_576 <= 8.0);
                }
            }
        }
        rows.push(row);
    }
    let head = [
        "library",
        "program",
        "ms",
        "times the floor",
        "peak memory, MiB",
        "size, MB",
    ];
    report.table(&head, rows);
    report.row(summary);
    Ok(report)
}
