//! The source goes away: a token in hand is served, whatever comes.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test says with it what it expects")]

mod support;

use std::sync::atomic::Ordering;

use support::{Client, Source, start_open, token_path};

#[test]
fn a_hundred_thousand_requests_are_served_in_an_outage() {
    let mut source = Source::start();
    let (agent, address) = start_open(&source);
    let path = token_path("default");
    let token = |body: &str| {
        let token: serde_json::Value = serde_json::from_str(body).unwrap();
        token["access_token"].as_str().unwrap().to_owned()
    };
    let (status, body) = Client::connect(address).get(&path);
    assert_eq!(status, 200);
    let in_hand = token(&body);
    source.stop();
    let fetched = source.script.tokens.load(Ordering::Relaxed);
    std::thread::scope(|scope| {
        for _ in 0..10 {
            scope.spawn(|| {
                let mut client = Client::connect(address);
                for number in 0..10_000 {
                    let (status, body) = client.get(&path);
                    assert_eq!(status, 200, "{body}");
                    if number % 1000 == 0 {
                        assert_eq!(token(&body), in_hand);
                    }
                }
            });
        }
    });
    assert_eq!(source.script.tokens.load(Ordering::Relaxed), fetched);
    // What isn't in hand is refused, and says why.
    let (status, body) = Client::connect(address).get(&format!("{path}?scopes=cold"));
    assert_eq!(status, 503);
    assert!(body.contains(&source.address.to_string()), "{body}");
    drop(agent);
}
