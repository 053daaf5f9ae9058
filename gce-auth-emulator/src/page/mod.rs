//! The live page, and the stream of events that it listens to.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;

use crate::journal::Entry;
use crate::recorded_request::RecordedRequest;
use crate::state::State;
use gce_auth_server::protocol::Reply;

const PAGE: &str = include_str!("page.html");

/// Where the page is.
pub(crate) const PATH: &str = "/emulator/";

/// Whether a path is that of the page, or lacks its slash.
pub(crate) fn is_at(path: &str) -> bool {
    path == PATH || path == PATH.trim_end_matches('/')
}

/// How many past requests a new listener gets.
const PAST: u64 = 200;

/// How many can listen at once.
const LISTENERS: usize = 32;

/// How often the clock, the faults and the number of waiting requests are sent.
const PERIOD: Duration = Duration::from_secs(1);

/// The page. Its policy lets it run its own script alone, load nothing, and speak to this emulator
/// alone.
pub(crate) fn page() -> Reply {
    let hash = |tag: &str| {
        let (open, close) = (format!("<{tag}>"), format!("</{tag}>"));
        let text = PAGE
            .split_once(&open)
            .and_then(|(_, rest)| rest.split_once(&close))
            .map_or("", |(text, _)| text);
        let digest = digest::digest(&digest::SHA256, text.as_bytes());
        format!("'sha256-{}'", BASE64_STANDARD.encode(digest))
    };
    let policy = format!(
        "default-src 'none'; script-src {}; style-src {}; connect-src 'self'; img-src data:; base-uri 'none'; \
         form-action 'none'; frame-ancestors 'none'",
        hash("script"),
        hash("style")
    );
    Reply::own("text/html; charset=utf-8", PAGE)
        .with("Content-Security-Policy", policy)
        .with("Cache-Control", "no-store")
        .with("Referrer-Policy", "no-referrer")
        .with("X-Content-Type-Options", "nosniff")
}

/// The beginning of a stream of events.
pub(crate) fn stream() -> Reply {
    Reply::own("text/event-stream", "").with("Cache-Control", "no-store")
}

/// Follows the emulator for one listener, until it leaves. `None` if there are too many.
pub(crate) fn follow(state: Arc<State>) -> Option<mpsc::Receiver<Vec<u8>>> {
    if state.told.receiver_count() >= LISTENERS {
        return None;
    }
    let mut told = state.told.subscribe();
    let (send, receive) = mpsc::channel(64);
    tokio::spawn(async move {
        let end = state.journal().last_id();
        let mut last = end.saturating_sub(PAST);
        while let Some(page) = next_page(&state, last, end) {
            for request in page {
                last = request.id;
                let past = event("request", &request.to_json());
                if send.send(past).await.is_err() {
                    return;
                }
                // Other listeners may do the same at this moment, and all have to be short.
                tokio::task::yield_now().await;
            }
        }
        let mut timer = tokio::time::interval(PERIOD);
        timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut last = Value::Null;
        loop {
            let next = tokio::select! {
                () = send.closed() => return,
                request = told.recv() => match request {
                    Ok(request) => event("request", &request.to_json()),
                    // A listener that is too slow misses some.
                    Err(RecvError::Lagged(_)) => continue,
                    Err(RecvError::Closed) => return,
                },
                _ = timer.tick() => {
                    let now = overview(&state);
                    if now == last {
                        continue;
                    }
                    let next = event("state", &now);
                    last = now;
                    next
                }
            };
            if send.send(next).await.is_err() {
                return;
            }
        }
    });
    Some(receive)
}

/// The next requests behind one, up to another; `None` at the end.
fn next_page(state: &State, behind: u64, end: u64) -> Option<Vec<RecordedRequest>> {
    let journal = state.journal();
    let page = journal.page(behind).take_while(|entry| entry.id() <= end);
    let page: Vec<_> = page.map(Entry::show).collect();
    (!page.is_empty()).then_some(page)
}

fn overview(state: &State) -> Value {
    json!({
        "now": state.clock.now().rfc3339(),
        "waiting": state.document.waiting(),
        "version": state.document.version(),
        "profile": state.profile.to_string(),
        "faults": state.faults_as_json()["faults"],
    })
}

fn event(name: &str, data: &Value) -> Vec<u8> {
    format!("event: {name}\ndata: {data}\n\n").into_bytes()
}
