//! Clients that cost much and give nothing: others are still served.

#![allow(clippy::unwrap_used, reason = "a test says with it what it expects")]

mod client;

use std::{
    io::{Read, Write},
    net::TcpStream,
};

use client::{connect, exchange, get, parse};
use gce_auth_emulator::{Emulator, Fault};

/// Few enough for the descriptors that a process may have by default.
const MANY: usize = 300;

#[test]
fn idle_connections_half_requests_and_slow_readers_stand_in_nobodys_way() {
    let emulator = Emulator::builder().start().unwrap();
    let mut kept: Vec<TcpStream> = (0..MANY).map(|_| connect(emulator.addr())).collect();
    for (index, stream) in kept.iter_mut().enumerate() {
        let half: &[u8] = match index % 4 {
            0 => b"",
            1 => b"GET /computeMetadata/v1/instance/id HT",
            2 => b"GET / HTTP/1.1\r\nHost: m\r\nX-Slow: ",
            _ => b"POST /token HTTP/1.1\r\nHost: m\r\nContent-Length: 100\r\n\r\ngrant",
        };
        stream.write_all(half).unwrap();
    }
    // Asks for more than the buffers between hold, again and again, and reads nothing.
    emulator
        .set("instance/attributes/large", &"x".repeat(1 << 20))
        .unwrap();
    let mut greedy = connect(emulator.addr());
    let ask = b"GET /computeMetadata/v1/instance/attributes/large HTTP/1.1\r\nHost: m\r\nMetadata-Flavor: Google\r\n\r\n";
    for _ in 0..32 {
        greedy.write_all(ask).unwrap();
    }
    emulator.fail_next("instance/name", MANY, Fault::Hang);
    let hanging: Vec<TcpStream> = (0..50)
        .map(|_| {
            let mut stream = connect(emulator.addr());
            stream
                .write_all(b"GET /computeMetadata/v1/instance/name HTTP/1.1\r\nHost: m\r\n\r\n")
                .unwrap();
            stream
        })
        .collect();
    for _ in 0..100 {
        assert_eq!(get(emulator.addr(), "instance/id").status, 200);
    }
    // What came in halves is served when the rest comes.
    kept[1]
        .write_all(b"TP/1.1\r\nHost: m\r\nMetadata-Flavor: Google\r\nConnection: close\r\n\r\n")
        .unwrap();
    let mut answer = Vec::new();
    kept[1].read_to_end(&mut answer).unwrap();
    assert_eq!(parse(&answer).status, 200);
    drop((kept, greedy, hanging));
    assert_eq!(get(emulator.addr(), "instance/id").status, 200);
}

#[test]
fn huge_requests_are_cut_short() {
    let emulator = Emulator::builder().start().unwrap();
    let line = |name: &str, length: usize| format!("{name}: {}\r\n", "a".repeat(length));
    let start = "GET / HTTP/1.1\r\nHost: m\r\n";
    let end = "Connection: close\r\n\r\n";
    let ask = |request: String| exchange(emulator.addr(), request.as_bytes());

    let one_huge = ask(format!("{start}{}{end}", line("X", 1 << 20)));
    assert!(one_huge.is_empty() || parse(&one_huge).status == 431);
    let many: String = (0..5000)
        .map(|index| line(&format!("X-{index}"), 10))
        .collect();
    let many = ask(format!("{start}{many}{end}"));
    assert!(many.is_empty() || parse(&many).status == 431);
    let target = ask(format!(
        "GET /{} HTTP/1.1\r\nHost: m\r\n{end}",
        "a".repeat(1 << 20)
    ));
    assert!(target.is_empty() || [414, 431].contains(&parse(&target).status));
    // Never a line end: no more is read than a head may have.
    let endless = exchange(emulator.addr(), &vec![b'a'; 4 << 20]);
    assert!(endless.is_empty() || parse(&endless).status >= 400);
    assert_eq!(get(emulator.addr(), "instance/id").status, 200);
}
