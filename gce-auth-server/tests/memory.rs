//! What connections cost that have nothing to do: memory is the server's, as the clients' end is a
//! descriptor alone.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test says with it what it expects")]

use std::{
    io::{Read, Write},
    net::TcpStream,
    sync::Arc,
    thread,
};

use gce_auth_server::{
    Answer, Service,
    listen::{Listener, TcpPort},
    protocol::{reply::Reply, request::Request},
    serve,
    service::Connection,
};
use rustix::process::{Resource, getrlimit, setrlimit};

const CONNECTIONS: usize = 2000;
/// hyper's two buffers alone have 16 KiB.
const MOST_BYTES: usize = 4 * 1024;

struct Short;

impl Service for Short {
    type Caller = ();

    fn date(&self) -> bytes::Bytes {
        bytes::Bytes::from_static(b"Thu, 01 Jan 1970 00:00:00 GMT")
    }

    async fn identify(&self, _: &Connection) {}

    fn serve<'a>(&'a self, _: Request, (): &'a ()) -> Answer<'a> {
        Answer::Ready(Reply::new(200, "text/plain", "short"))
    }
}

fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kilobytes = line.unwrap().split_whitespace().nth(1).unwrap();
    kilobytes.parse::<usize>().unwrap() * 1024
}

fn ask(stream: &mut TcpStream, request: &[u8]) {
    stream.write_all(request).unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\nshort") {
        let mut some = [0; 512];
        let length = stream.read(&mut some).unwrap();
        assert_ne!(length, 0, "{}", String::from_utf8_lossy(&answer));
        answer.extend(&some[..length]);
    }
}

#[test]
fn idle_connections_and_half_requests_keep_no_buffers() {
    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: m\r\n\r\n";
    let mut files = getrlimit(Resource::Nofile);
    files.current = files.maximum;
    setrlimit(Resource::Nofile, files).unwrap();
    let port = TcpPort::open("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = port.local_addr().unwrap();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let listeners = vec![Listener::tcp(port)];
        runtime.block_on(serve(listeners, Arc::new(Short), Arc::new(())))
    });
    // What the process needs for the first request of all.
    ask(&mut TcpStream::connect(address).unwrap(), REQUEST);

    let before = resident();
    let each = || resident().saturating_sub(before) / CONNECTIONS;
    let connect = |_| TcpStream::connect(address).unwrap();
    let mut clients: Vec<_> = (0..CONNECTIONS).map(connect).collect();
    for client in &mut clients {
        ask(client, REQUEST);
    }
    assert!(each() < MOST_BYTES, "{} bytes when idle", each());
    for client in &mut clients {
        client.write_all(&REQUEST[..20]).unwrap();
    }
    // Answered behind the halves.
    ask(&mut TcpStream::connect(address).unwrap(), REQUEST);
    assert!(each() < MOST_BYTES, "{} bytes with a half", each());
    for client in &mut clients {
        ask(client, &REQUEST[20..]);
    }
    assert!(each() < MOST_BYTES, "{} bytes when idle again", each());
}
