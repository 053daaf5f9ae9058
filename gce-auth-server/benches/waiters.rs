//! What hanging requests cost: memory for each, and the time to wake all. Needs two file descriptors for each; `WAITERS` changes
//! their number.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a bench measures and prints"
)]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Instant;

use gce_auth_server::Emulator;

const REQUEST: &[u8] = b"GET /computeMetadata/v1/?recursive=true&wait_for_change=true HTTP/1.1\r\n\
    Host: metadata.google.internal\r\nMetadata-Flavor: Google\r\n\r\n";

/// Resident memory of this process in bytes, where the system tells.
fn resident() -> Option<usize> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    let kilobytes: usize = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kilobytes * 1024)
}

fn main() {
    let count: usize = std::env::var("WAITERS")
        .ok()
        .and_then(|count| count.parse().ok())
        .unwrap_or(9_000);
    let start = Instant::now();
    let emulator = Emulator::builder().start().unwrap();
    println!("start: {:?}", start.elapsed());

    let mut idle: Vec<TcpStream> = Vec::with_capacity(count);
    let before = resident();
    for _ in 0..count {
        idle.push(TcpStream::connect(emulator.addr()).unwrap());
    }
    let start = Instant::now();
    for stream in &mut idle {
        stream.write_all(REQUEST).unwrap();
    }
    while emulator.waiting() < count {
        std::thread::yield_now();
    }
    println!("{count} requests hang after {:?}", start.elapsed());
    if let (Some(before), Some(after)) = (before, resident()) {
        println!(
            "memory for each, both ends: {} bytes",
            after.saturating_sub(before) / count
        );
    }

    let start = Instant::now();
    emulator.set("instance/attributes/elsewhere", "1").unwrap();
    println!("set: {:?}", start.elapsed());
    let mut buffer = [0; 512];
    for stream in &mut idle {
        assert_ne!(stream.read(&mut buffer).unwrap(), 0);
    }
    println!("all awake after {:?}", start.elapsed());
}
