//! The audit says of each request what became of it.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test says with it what it expects")]

mod support;

use gce_auth_agent::{AgentBuilder, AuditTarget};
use serde_json::Value;
use support::{Client, Scratch, Source, start};

/// The status and the decision of each line.
fn decisions(audit: &std::path::Path) -> Vec<(u64, String)> {
    let lines = std::fs::read_to_string(audit).unwrap();
    lines
        .lines()
        .map(|line| {
            let line: Value = serde_json::from_str(line).unwrap();
            let decision = line["decision"].as_str().unwrap().to_owned();
            (line["status"].as_u64().unwrap(), decision)
        })
        .collect()
}

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
    let seen = decisions(&audit);
    let expected = [(200, "ok"), (404, "ok"), (400, "denied"), (405, "denied")];
    assert_eq!(seen, expected.map(|(status, it)| (status, it.to_owned())));
}

#[test]
fn what_is_over_the_rate_of_a_rule_is_limited() {
    let source = Source::start();
    let scratch = Scratch::new("rate");
    let audit = scratch.0.join("audit");
    let uid = rustix::process::geteuid().as_raw();
    let rules = format!(
        "default = \"deny\"\n[[rule]]\nname = \"slow\"\n[rule.caller]\nuid = [{uid}]\n\
         [rule.allow]\nrate = \"2/m\"\n"
    );
    let agent = start(
        &source,
        AgentBuilder {
            config_file: Some(scratch.file("agent.toml", &rules)),
            listen: vec!["127.0.0.1:0".parse().unwrap()],
            audit: Some(AuditTarget::File(audit.clone())),
            ..AgentBuilder::default()
        },
    );
    let color = "instance/attributes/color";
    // All connections of a user have one bucket.
    for _ in 0..2 {
        assert_eq!(Client::connect(agent.tcp()[0]).get(color).0, 200);
    }
    let (status, why) = Client::connect(agent.tcp()[0]).get(color);
    assert_eq!(status, 429);
    assert!(why.contains("rule `slow`"), "{why}");
    agent.stop();
    let expected = [(200, "ok"), (200, "ok"), (429, "denied")];
    let expected = expected.map(|(status, it)| (status, it.to_owned()));
    assert_eq!(decisions(&audit), expected);
}
