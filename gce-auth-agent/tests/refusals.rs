//! The source refuses or fails: what callers learn of it, and that what it sent is not among it.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test says with it what it expects")]

mod support;

use std::sync::atomic::Ordering;

use support::{Client, MARK, Source, start_open, token_path};

#[test]
fn a_refusal_of_the_source_is_passed_on_and_a_failure_may_pass() {
    let source = Source::start();
    let (agent, address) = start_open(&source);
    let token = format!("{{\"access_token\":\"{MARK}\"}}");
    let answered = "it answered";
    for (number, (sent, body, status, why)) in [
        (400, MARK, 400, answered),
        (401, MARK, 503, answered),
        (403, MARK, 403, answered),
        (403, "", 403, answered),
        // As a metadata server that has no such account.
        (404, MARK, 404, "Error 404 (Not Found)"),
        (409, MARK, 503, answered),
        (501, MARK, 503, answered),
        (200, MARK, 503, "its answer can't be used"),
        (200, token.as_str(), 503, "its answer can't be used"),
    ]
    .into_iter()
    .enumerate()
    {
        *source.script.instead.lock().unwrap() = Some((sent, body.to_owned()));
        let before = source.script.tokens.load(Ordering::Relaxed);
        let path = format!("{}?scopes=s{number}", token_path("default"));
        let (found, text) = Client::connect(address).get(&path);
        assert_eq!(found, status, "{sent}: {text}");
        assert!(text.contains(why), "{sent}: {text}");
        assert!(!text.contains(MARK), "{text}");
        if found != 404 {
            assert!(text.starts_with("the source failed: GET "), "{text}");
            assert!(text.contains("/service-accounts/default/token"), "{text}");
            assert!(
                why != answered || text.contains(&sent.to_string()),
                "{text}"
            );
            assert_eq!(text.lines().count(), 1, "{text}");
        }
        assert!(source.script.tokens.load(Ordering::Relaxed) > before);
    }
    *source.script.instead.lock().unwrap() = Some((200, token));
    source.script.is_other.store(true, Ordering::Relaxed);
    let path = format!("{}?scopes=other", token_path("default"));
    let (status, text) = Client::connect(address).get(&path);
    assert_eq!(status, 503, "{text}");
    let why = "/token: what answers is no metadata server\n";
    assert!(text.ends_with(why), "{text}");
    source.script.is_other.store(false, Ordering::Relaxed);
    // It is not taken for the answer to what is asked next.
    *source.script.instead.lock().unwrap() = None;
    let path = format!("{}?scopes=next", token_path("default"));
    assert_eq!(Client::connect(address).get(&path).0, 200);
    drop(agent);
}
