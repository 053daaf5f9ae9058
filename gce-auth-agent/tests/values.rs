//! Values and directories over a socket: what a rule shows, and the way from one to the other.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test says with it what it expects")]

mod support;

use gce_auth_agent::AgentBuilder;
use support::{Client, Scratch, Source, start};

/// An agent that shows its own user these values.
fn showing(source: &Source, scratch: &Scratch, metadata: &str) -> gce_auth_agent::Agent {
    let uid = rustix::process::geteuid().as_raw();
    let rules = format!(
        "default = \"deny\"\n[[listen]]\ntcp = \"127.0.0.1:0\"\n[[rule]]\nname = \"me\"\n\
         [rule.caller]\nuid = [{uid}]\n[rule.allow]\nmetadata = {metadata}\n"
    );
    let config_file = Some(scratch.file("agent.toml", &rules));
    let builder = AgentBuilder {
        config_file,
        ..AgentBuilder::default()
    };
    start(source, builder)
}

/// The rule names what lies below a directory; where the source has a value in its place, that is
/// not shown.
#[test]
fn a_value_in_the_place_of_a_directory_is_refused() {
    let source = Source::start();
    let scratch = Scratch::new("values");
    let agent = showing(
        &source,
        &scratch,
        "[\"instance/virtual-clock/drift-token\"]",
    );
    let mut client = Client::connect(agent.tcp()[0]);
    let (status, body) = client.get("instance/virtual-clock");
    assert_eq!(status, 403, "{body}");
    assert!(body.contains("not among `metadata`"), "{body}");
    assert!(!body.contains("hidden"), "{body}");
    let agent = showing(&source, &scratch, "[\"instance/virtual-clock\"]");
    let mut client = Client::connect(agent.tcp()[0]);
    let shown = client.get("instance/virtual-clock");
    assert_eq!(shown, (200, "hidden".to_owned()));
}

#[test]
fn a_directory_without_its_slash_leads_to_what_the_rule_shows() {
    let source = Source::start();
    let scratch = Scratch::new("directories");
    let agent = showing(&source, &scratch, "[\"instance/attributes/color\"]");
    let mut client = Client::connect(agent.tcp()[0]);
    let (status, body) = client.get("instance/attributes");
    assert_eq!(status, 301, "{body}");
    assert!(
        body.contains("/computeMetadata/v1/instance/attributes/"),
        "{body}"
    );
    assert_eq!(
        client.get("instance/attributes/"),
        (200, "color\n".to_owned())
    );
    let all = client.get("instance/attributes/?recursive=true");
    assert_eq!(all, (200, "{\"color\":\"blue\"}".to_owned()));
    assert_eq!(client.get("instance/attributes/shape").0, 403);
}

#[test]
fn a_value_that_may_change_is_asked_for_each_time_and_another_once() {
    let source = Source::start();
    let scratch = Scratch::new("fixed");
    let agent = showing(&source, &scratch, "[\"**\"]");
    let mut client = Client::connect(agent.tcp()[0]);
    let mut number = |path: &str| {
        let (status, body) = client.get(path);
        assert_eq!(status, 200, "{path}: {body}");
        body.parse::<usize>().unwrap()
    };
    let count = "instance/attributes/count";
    assert_eq!([number(count), number(count)], [0, 1]);
    assert_eq!([number("instance/id"), number("instance/id")], [2, 2]);
    assert_eq!(number("instance/id?alt=text"), 3, "another form of it");
    assert_eq!([number("instance/id"), number(count)], [2, 4]);
}
