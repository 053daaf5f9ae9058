//! What hanging requests cost: memory for each, and the time to wake all. `WAITERS` changes their
//! number.

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

const REQUEST: &[u8] = b"GET /computeMetadata/v1/?recursive=true&wait_for_change=true HTTP/1.1\r\n\
    Host: metadata.google.internal\r\nMetadata-Flavor: Google\r\n\r\n";

fn ms(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1e3)
}

/// The clients: ask and hang, and read what comes, as often as they are let.
fn hang(server: &str, count: usize) {
    machine::open_files(count);
    let mut waiting: Vec<TcpStream> = (0..count)
        .map(|_| TcpStream::connect(server).unwrap())
        .collect();
    machine::say("connected");
    let mut buffer = [0; 16 * 1024];
    loop {
        for stream in &mut waiting {
            if stream.write_all(REQUEST).is_err() {
                return;
            }
        }
        machine::say("asked");
        for stream in &mut waiting {
            let length = stream.read(&mut buffer).unwrap_or(0);
            if !buffer[..length].starts_with(b"HTTP/1.1 200 ") {
                return;
            }
        }
        machine::say("awake");
    }
}

fn main() {
    let count = machine::number("WAITERS", 10_000);
    if let Some(server) = machine::server() {
        return hang(&server, count);
    }
    machine::open_files(count);
    let start = Instant::now();
    let emulator = Emulator::builder().start().unwrap();
    println!("an emulator starts in {}", ms(start.elapsed()));

    let before = machine::resident();
    let mut clients = Other::start(&emulator.addr().to_string());
    assert_eq!(clients.hear(), "connected");
    let mut times: Vec<Duration> = Vec::new();
    for round in 0..5 {
        let start = Instant::now();
        clients.tell();
        assert_eq!(clients.hear(), "asked");
        while emulator.waiting() < count {
            std::thread::yield_now();
        }
        if round == 0 {
            println!("{count} requests hang after {}", ms(start.elapsed()));
            if let (Some(before), Some(after)) = (before, machine::resident()) {
                let each = after.saturating_sub(before) / count;
                println!("memory of the server for each: {each} bytes");
            }
        }
        // The clients read from now on.
        clients.tell();
        let start = Instant::now();
        let round = round.to_string();
        emulator.set("instance/attributes/round", &round).unwrap();
        assert_eq!(clients.hear(), "awake");
        times.push(start.elapsed());
    }
    times.sort();
    println!(
        "all awake after {} in the median, {} to {} in {} rounds",
        ms(times[times.len() / 2]),
        ms(times[0]),
        ms(times[times.len() - 1]),
        times.len()
    );
    drop(emulator);
}
