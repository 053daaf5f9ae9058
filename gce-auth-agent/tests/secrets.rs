//! No token stands where people and programs look: log, audit, metrics, page, errors.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test says with it what it expects")]

mod support;

use std::sync::{Arc, Mutex};

use gce_auth_agent::{AgentBuilder, AuditTarget};
use support::{Client, MARK, Scratch, Source, start, token_path};

#[test]
fn no_token_is_written_anywhere() {
    let source = Source::start();
    let scratch = Scratch::new("secrets");
    let audit = scratch.0.join("audit");
    let log = Arc::new(Mutex::new(String::new()));
    let lines = Arc::clone(&log);
    let agent = start(
        &source,
        AgentBuilder {
            listen: vec!["127.0.0.1:0".parse().unwrap()],
            admin: Some("127.0.0.1:0".parse().unwrap()),
            audit: Some(AuditTarget::File(audit.clone())),
            log: Arc::new(move |line| lines.lock().unwrap().push_str(line)),
            ..AgentBuilder::default()
        },
    );
    let mut client = Client::connect(agent.tcp()[0]);
    let path = token_path("default");
    let (status, body) = client.get(&path);
    assert!(
        status == 200 && body.contains(MARK),
        "the search can find a token"
    );
    let mut seen = String::new();
    let token = format!("ya29.{MARK}.x");
    for (number, (status, body)) in [
        (
            200,
            format!("{{\"access_token\":\"{token}\",\"expires_in\":\"soon\"}}"),
        ),
        (200, format!("{{\"access_token\":\"{token}\"")),
        (200, format!("[\"{token}\"]")),
        (200, token.clone()),
        (403, format!("forbidden: {token}")),
        (404, format!("missing: {token}")),
        (400, format!("bad: {token}")),
        (500, format!("broken: {token}")),
    ]
    .into_iter()
    .enumerate()
    {
        *source.script.instead.lock().unwrap() = Some((status, body));
        let (answered, body) = client.get(&format!("{path}?scopes=s{number}"));
        assert_ne!(answered, 200, "{body}");
        seen.push_str(&body);
        let identity = path.replace("/token", "/identity");
        let (answered, body) = client.get(&format!("{identity}?audience=https://a{number}"));
        assert_ne!(answered, 200, "{body}");
        seen.push_str(&body);
    }
    let admin = agent.admin().unwrap();
    let mut pages = Client::connect(admin);
    for page in ["/", "/metrics", "/readyz"] {
        let (status, body) = pages.ask(&admin.to_string(), page);
        assert_eq!(status, 200, "{page}");
        seen.push_str(&body);
    }
    assert!(seen.contains("requests_total") && seen.contains("<table>"));
    seen.push_str(&format!("{agent:?}"));
    agent.stop();
    let audited = std::fs::read_to_string(audit).unwrap();
    assert_eq!(audited.lines().count(), 17);
    seen.push_str(&audited);
    seen.push_str(&log.lock().unwrap());
    let leak = seen
        .find(MARK)
        .map(|at| &seen[at.saturating_sub(80)..at + 4]);
    assert_eq!(leak, None);
}
