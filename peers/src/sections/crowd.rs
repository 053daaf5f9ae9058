//! A crowd for google-auth for Python: threads of a process of its own. There
//! are fewer of them: ten thousand fight for the interpreter for seconds, or
//! for minutes where the machine does anything else.

use std::{
    env,
    io::{BufRead, BufReader, Read, Write},
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use crate::{contestant::Failure, sections::callers::Seen, server::Server};

/// So many.
const THREADS: usize = 1000;

/// What every thread calls.
pub const CALL: &str = "`before_request(..)`, in 1,000 threads";

/// All of them, at credentials whose token, of so many seconds, is so old;
/// at new ones where it has no age. The server takes `latency` once they come.
///
/// # Errors
/// If Python is not there, or the program fails.
pub fn crowd(
    server: &Server,
    (lifetime, age): (u64, Duration),
    latency: Duration,
) -> Result<Seen, Failure> {
    let missing = |_| "it could not be installed here";
    let python = env::var("PEERS_PYTHON").map_err(missing)?;
    let programs = env::var("PEERS_PYTHON_PROGRAMS").map_err(missing)?;
    server.set(Duration::ZERO, lifetime)?;
    let mut program = Command::new(python)
        .arg(Path::new(&programs).join("crowd.py"))
        .args([THREADS.to_string(), age.as_secs_f64().to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let pipes = program.stdin.take().zip(program.stdout.take());
    let (mut gate, said) = pipes.ok_or("no pipes")?;
    let mut said = BufReader::new(said);
    let mut ready = String::new();
    said.read_line(&mut ready)?;
    // What was asked until now is not theirs.
    server.set(latency, 3600)?;
    gate.write_all(b"\n")?;
    let mut lines = String::new();
    said.read_to_string(&mut lines)?;
    let status = program.wait()?;
    if !status.success() || ready != "ready\n" {
        return Err(format!("crowd.py: {status}").into());
    }
    let mut seen = Seen {
        served: Vec::with_capacity(THREADS),
        waited: Vec::with_capacity(THREADS),
        errors: 0,
        requests: server.counts()?.tokens,
    };
    for line in lines.lines() {
        let fields: Vec<u64> = line.split(' ').map(str::parse).collect::<Result<_, _>>()?;
        let [asked, went, good] = fields[..] else {
            return Err(format!("crowd.py: {line}").into());
        };
        seen.served.push(Duration::from_nanos(went));
        seen.waited
            .push(Duration::from_nanos(went.saturating_sub(asked)));
        seen.errors += usize::from(good != 1);
    }
    if seen.served.len() != THREADS {
        return Err(format!("crowd.py: {} of {THREADS} threads", seen.served.len()).into());
    }
    seen.served.sort();
    seen.waited.sort();
    Ok(seen)
}
