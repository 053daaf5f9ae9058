//! How long a new process takes: until it is ready, until its first value, and from there to its
//! first access token and ID token.
//!
//! Each line is the median of 15 processes, and the worst of them.
//! `cargo bench -p gce-auth-emulator --bench first`.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a bench measures, and prints what it measured"
)]

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    process::Command,
    time::{Duration, Instant},
};

use gce_auth_emulator::Emulator;

const PROCESSES: usize = 15;
const STEPS: [&str; 4] = [
    "ready",
    "first value",
    "first access token",
    "first ID token",
];

fn main() {
    if std::env::args().any(|argument| argument == "one") {
        return one();
    }
    let runs: Vec<Vec<f64>> = (0..PROCESSES).map(|_| run()).collect();
    for (index, step) in STEPS.iter().enumerate() {
        let mut times: Vec<f64> = runs.iter().map(|run| run[index]).collect();
        times.sort_by(f64::total_cmp);
        println!(
            "{step:>20}: {:8.3} ms, at worst {:8.3} ms",
            times[times.len() / 2],
            times[times.len() - 1]
        );
    }
}

fn run() -> Vec<f64> {
    let output = Command::new(std::env::current_exe().unwrap())
        .arg("one")
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.split_whitespace()
        .map(|time| time.parse().unwrap())
        .collect()
}

fn one() {
    let begin = Instant::now();
    let emulator = Emulator::builder().start().unwrap();
    print!("{}", begin.elapsed().as_secs_f64() * 1000.0);
    timed(emulator.addr(), "instance/id");
    timed(emulator.addr(), "instance/service-accounts/default/token");
    // As a program does that starts up, and then asks.
    std::thread::sleep(Duration::from_secs(1));
    timed(
        emulator.addr(),
        "instance/service-accounts/default/identity?audience=a",
    );
}

fn timed(address: SocketAddr, path: &str) {
    let begin = Instant::now();
    get(address, path);
    print!(" {}", begin.elapsed().as_secs_f64() * 1000.0);
}

fn get(address: SocketAddr, path: &str) {
    let mut stream = TcpStream::connect(address).unwrap();
    let ask = format!(
        "GET /computeMetadata/v1/{path} HTTP/1.1\r\nHost: metadata\r\nMetadata-Flavor: Google\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(ask.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}
