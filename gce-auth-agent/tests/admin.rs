//! The admin listener under programs that hold its connections.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test says with it what it expects")]

mod support;

use std::{
    io::{ErrorKind, Read as _, Write as _},
    net::TcpStream,
    sync::atomic::Ordering,
    time::Duration,
};

use gce_auth_agent::AgentBuilder;
use support::{Client, MARK, Source, start, token_path};

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

/// An agent that asks its source each time, or not, and what its admin listener says.
#[test]
fn an_agent_is_ready_with_a_token_and_asks_each_time_only_without_a_cache() {
    for no_cache in [false, true] {
        let source = Source::start();
        *source.script.instead.lock().unwrap() = Some((503, String::new()));
        let any = "127.0.0.1:0".parse().unwrap();
        let builder = AgentBuilder {
            listen: vec![any],
            admin: Some(any),
            no_cache,
            ..AgentBuilder::default()
        };
        let agent = start(&source, builder);
        let mut admin = Client::connect(agent.admin().unwrap());
        let mut ask = |path: &str| admin.ask("localhost", path);
        let (status, why) = ask("/readyz");
        assert_eq!(status, 503, "{why}");
        assert!(why.contains("no token of the default account"), "{why}");
        *source.script.instead.lock().unwrap() = None;
        let is_ready = (0..100_000).any(|_| {
            std::thread::yield_now();
            ask("/readyz").0 == 200
        });
        assert!(is_ready, "it asks for no token by itself");
        let mut caller = Client::connect(agent.tcp()[0]);
        let mut tokens = |path: &str| [caller.get(path).1, caller.get(path).1];
        let [first, second] = tokens(&token_path("default"));
        assert_eq!(first == second, !no_cache, "{first} {second}");
        let identity = "instance/service-accounts/default/identity?audience=a";
        let before = source.script.tokens.load(Ordering::Relaxed);
        assert!(tokens(identity).iter().all(|token| token.contains(MARK)));
        let asked = source.script.tokens.load(Ordering::Relaxed) - before;
        assert_eq!(asked, if no_cache { 2 } else { 1 });
        let (status, metrics) = ask("/metrics");
        assert_eq!(status, 200);
        for line in [
            "gce_auth_agent_requests_total{kind=\"token\",result=\"ok\",rule=\"none\"} 2",
            "gce_auth_agent_requests_total{kind=\"identity\",result=\"ok\",rule=\"none\"} 2",
        ] {
            assert!(metrics.lines().any(|found| found == line), "{metrics}");
        }
        let expiry = "gce_auth_agent_token_expiry_seconds{account=\"default\"} 3";
        assert!(metrics.contains(expiry), "{metrics}");
        assert!(!metrics.contains(MARK), "{metrics}");
    }
}
