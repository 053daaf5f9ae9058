//! What idle connections, half requests and readers that do not read cost the server, and whether
//! others are still served. `CONNECTIONS` changes their number.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a bench measures and prints"
)]

mod machine;

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

use gce_auth_emulator::Emulator;
use machine::Other;

const REQUEST: &[u8] = b"GET /computeMetadata/v1/instance/id HTTP/1.1\r\n\
    Host: metadata.google.internal\r\nMetadata-Flavor: Google\r\n\r\n";

/// As large as a value of the custom metadata can be.
const LARGE: usize = 256 * 1024;
const GREEDY: &[u8] = b"GET /computeMetadata/v1/instance/attributes/large HTTP/1.1\r\n\
    Host: metadata.google.internal\r\nMetadata-Flavor: Google\r\n\r\n";

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

/// The clients: open connections and hold them. `first` says what the connection of a number begins
/// with.
fn hold(server: &str, count: usize) {
    machine::open_files(count);
    let mut held: Vec<TcpStream> = Vec::with_capacity(count);
    for _ in 0..count {
        held.push(TcpStream::connect(server).unwrap());
    }
    machine::say("idle");
    for stream in &mut held {
        stream.write_all(&REQUEST[..40]).unwrap();
    }
    machine::say("half");
    for stream in &mut held {
        stream.write_all(&REQUEST[40..]).unwrap();
        stream.write_all(GREEDY).unwrap();
    }
    machine::say("greedy");
}

fn main() {
    let count = machine::number("CONNECTIONS", 10_000);
    if let Some(server) = machine::server() {
        return hold(&server, count);
    }
    machine::open_files(count);
    let emulator = Emulator::builder().start().unwrap();
    let large = "x".repeat(LARGE);
    emulator.set("instance/attributes/large", &large).unwrap();
    let (median, worst) = ask(&emulator);
    println!("alone: {median:?} in the median, {worst:?} at worst");

    let before = machine::resident();
    let mut clients = Other::start(&emulator.addr().to_string());
    for (word, what) in [
        ("idle", "idle connections"),
        ("half", "half requests"),
        ("greedy", "readers of a large value that do not read"),
    ] {
        assert_eq!(clients.hear(), word);
        let (median, worst) = ask(&emulator);
        println!("beside {count} {what}: {median:?} in the median, {worst:?} at worst");
        if let (Some(before), Some(after)) = (before, machine::resident()) {
            let each = after.saturating_sub(before) / count;
            println!("memory of the server for each: {each} bytes");
        }
        clients.tell();
    }
}
