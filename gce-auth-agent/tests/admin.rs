//! The admin listener under programs that hold its connections.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test says with it what it expects")]

mod support;

use std::{
    io::{ErrorKind, Read as _, Write as _},
    net::TcpStream,
    time::Duration,
};

use gce_auth_agent::AgentBuilder;
use support::{Client, Source, start};

#[test]
fn the_connections_of_the_admin_listener_are_limited() {
    let source = Source::start();
    let any = "127.0.0.1:0".parse().unwrap();
    let agent = start(
        &source,
        AgentBuilder {
            listen: vec![any],
            admin: Some(any),
            ..AgentBuilder::default()
        },
    );
    let admin = agent.admin().unwrap();
    let healthy = |client: &mut Client| client.ask("localhost", "/healthz").0 == 200;
    let mut held: Vec<_> = (0..64).map(|_| Client::connect(admin)).collect();
    assert!(held.iter_mut().all(healthy));

    let mut late = TcpStream::connect(admin).unwrap();
    late.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .unwrap();
    let mut status = [0; 12];
    late.set_read_timeout(Some(Duration::from_millis(200)))
        .unwrap();
    let waits = late.read(&mut status).unwrap_err().kind();
    assert!(
        matches!(waits, ErrorKind::WouldBlock | ErrorKind::TimedOut),
        "{waits:?}"
    );
    // Callers are not counted with them.
    let mut caller = Client::connect(agent.tcp()[0]);
    assert_eq!(caller.get("instance/attributes/color").0, 200);

    drop(held.pop());
    late.set_read_timeout(Some(Duration::from_secs(30)))
        .unwrap();
    late.read_exact(&mut status).unwrap();
    assert_eq!(&status, b"HTTP/1.1 200");
}
