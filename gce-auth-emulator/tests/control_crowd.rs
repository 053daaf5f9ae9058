//! Many control requests at once are answered by one thread, and leave the others to those who
//! serve.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test says with it what it expects")]

use std::{
    io::{Read, Write},
    net::TcpStream,
};

use gce_auth_emulator::Emulator;

const MANY: usize = 60;
/// What the emulator has besides: for files, names, the first key.
const OTHERS: usize = 8;

fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").unwrap().count()
}

#[test]
fn a_crowd_of_control_requests_takes_few_threads() {
    let emulator = Emulator::builder().start().unwrap();
    let before = threads();
    let value = format!("[{}]", vec!["1"; 100_000].join(","));
    let head = format!(
        "PUT /emulator/v1/document/instance/attributes/a HTTP/1.1\r\nHost: localhost\r\n\
         Connection: close\r\nContent-Length: {}\r\n\r\n",
        value.len()
    );
    let connect = |_| TcpStream::connect(emulator.addr()).unwrap();
    let mut crowd: Vec<TcpStream> = (0..MANY).map(connect).collect();
    for one in &mut crowd {
        one.write_all(head.as_bytes()).unwrap();
    }
    for one in &mut crowd {
        one.write_all(value.as_bytes()).unwrap();
    }
    for one in &mut crowd {
        let mut answer = String::new();
        one.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 "), "{answer}");
    }
    // A thread that has answered stays for a while.
    let more = threads() - before;
    assert!(more <= OTHERS, "{more} threads for {MANY} requests");
}
