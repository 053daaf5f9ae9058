//! The audit says of each request what became of it.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test says with it what it expects")]

mod support;

use gce_auth_agent::{AgentBuilder, AuditTarget};
use serde_json::Value;
use support::{Client, Scratch, Source, start};

/// A 404 is the source's answer to a request that was let through; 400 and 405 are the agent's own.
#[test]
fn what_the_agent_does_not_take_is_denied() {
    let source = Source::start();
    let scratch = Scratch::new("audit");
    let audit = scratch.0.join("audit");
    let agent = start(
        &source,
        AgentBuilder {
            listen: vec!["127.0.0.1:0".parse().unwrap()],
            audit: Some(AuditTarget::File(audit.clone())),
            ..AgentBuilder::default()
        },
    );
    let mut client = Client::connect(agent.tcp()[0]);
    assert_eq!(client.get("instance/attributes/color").0, 200);
    assert_eq!(client.get("instance/attributes/none").0, 404);
    assert_eq!(client.get("instance//zone").0, 400);
    client.write("POST", "instance/attributes/color");
    assert_eq!(client.receive().0, 405);
    agent.stop();
    let lines = std::fs::read_to_string(audit).unwrap();
    let seen: Vec<_> = lines
        .lines()
        .map(|line| {
            let line: Value = serde_json::from_str(line).unwrap();
            let decision = line["decision"].as_str().unwrap().to_owned();
            (line["status"].as_u64().unwrap(), decision)
        })
        .collect();
    let expected = [(200, "ok"), (404, "ok"), (400, "denied"), (405, "denied")];
    assert_eq!(seen, expected.map(|(status, it)| (status, it.to_owned())));
}
