//! What idle connections cost the server, and whether others are still served. Needs a file descriptor for each; `CONNECTIONS`
//! changes their number.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a bench measures and prints"
)]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use gce_auth_server::Emulator;

const REQUEST: &[u8] = b"GET /computeMetadata/v1/instance/id HTTP/1.1\r\n\
    Host: metadata.google.internal\r\nMetadata-Flavor: Google\r\n\r\n";

/// Resident memory of this process in bytes, where the system tells.
fn resident() -> Option<usize> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    let kilobytes: usize = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kilobytes * 1024)
}

/// The median and the worst of a thousand requests, each on a new connection.
fn ask(emulator: &Emulator) -> (Duration, Duration) {
    let mut times: Vec<Duration> = (0..1000)
        .map(|_| {
            let start = Instant::now();
            let mut stream = TcpStream::connect(emulator.addr()).unwrap();
            stream.write_all(REQUEST).unwrap();
            assert_ne!(stream.read(&mut [0; 512]).unwrap(), 0);
            start.elapsed()
        })
        .collect();
    times.sort();
    (times[500], times[999])
}

/// Opens connections, each second with half a request, says so, and holds them until it is told to end.
fn hold(address: &str, count: usize) {
    let mut idle = Vec::with_capacity(count);
    for index in 0..count {
        let mut stream = TcpStream::connect(address).unwrap();
        if index % 2 == 1 {
            stream.write_all(&REQUEST[..40]).unwrap();
        }
        idle.push(stream);
    }
    println!("held");
    let _ = std::io::stdin().read(&mut [0]);
}

fn main() {
    let count: usize = std::env::var("CONNECTIONS")
        .ok()
        .and_then(|count| count.parse().ok())
        .unwrap_or(10_000);
    if let Ok(address) = std::env::var("HOLD_AT") {
        return hold(&address, count);
    }
    let emulator = Emulator::builder().start().unwrap();
    let (median, worst) = ask(&emulator);
    println!("alone: {median:?} in the median, {worst:?} at worst");

    let before = resident();
    // In a process of its own, so that what is measured here is the server's.
    let mut holder = Command::new(std::env::current_exe().unwrap())
        .env("HOLD_AT", emulator.addr().to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = [0; 4];
    holder.stdout.take().unwrap().read_exact(&mut said).unwrap();
    let (median, worst) = ask(&emulator);
    println!("beside {count} idle connections: {median:?} in the median, {worst:?} at worst");
    if let (Some(before), Some(after)) = (before, resident()) {
        println!(
            "memory for each: {} bytes",
            after.saturating_sub(before) / count
        );
    }
    drop(holder.stdin.take());
    holder.wait().unwrap();
}
