//! A listener that is closed while its server goes on.

#![allow(clippy::unwrap_used, reason = "a test says with it what it expects")]

use std::{
    io::{Read, Write},
    net::TcpStream,
    sync::Arc,
};

use gce_auth_server::{
    Answer, Service,
    listen::{Listener, TcpPort},
    protocol::{reply::Reply, request::Request},
    serve,
    service::Connection,
};

struct Echo;

impl Service for Echo {
    type Caller = ();

    fn date(&self) -> bytes::Bytes {
        bytes::Bytes::from_static(b"Thu, 01 Jan 1970 00:00:00 GMT")
    }

    async fn identify(&self, _: &Connection) {}

    fn serve<'a>(&'a self, request: Request, (): &'a ()) -> Answer<'a> {
        Answer::Ready(Reply::new(200, "text/plain", request.path))
    }
}

/// One answer to `/x`, whose body is its path.
fn ask(stream: &mut TcpStream) -> std::io::Result<()> {
    stream.write_all(b"GET /x HTTP/1.1\r\nHost: m\r\n\r\n")?;
    let mut seen = Vec::new();
    while !seen.ends_with(b"\r\n\r\n/x") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        seen.push(byte[0]);
    }
    Ok(())
}

#[test]
fn open_connections_stay_and_no_new_ones_come() {
    let open = || TcpPort::open("127.0.0.1:0".parse().unwrap()).unwrap();
    let (closed, stays) = (open(), open());
    let addresses = [closed.local_addr().unwrap(), stays.local_addr().unwrap()];
    let listeners = vec![Listener::tcp(closed), Listener::tcp(stays)];
    let closer = listeners[0].closer();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let serving = std::thread::spawn(move || {
        runtime.block_on(serve(listeners, Arc::new(Echo), Arc::new(())))
    });
    let mut held = TcpStream::connect(addresses[0]).unwrap();
    ask(&mut held).unwrap();
    closer.close();
    // Until the task has seen it, a connection may be accepted.
    while TcpStream::connect(addresses[0]).is_ok() {}
    ask(&mut held).unwrap();
    ask(&mut TcpStream::connect(addresses[1]).unwrap()).unwrap();
    assert!(!serving.is_finished());
}
