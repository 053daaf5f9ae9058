//! A stream of server-sent events for one listener.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::{
    news::{News, Since},
    overview::overview,
};
use crate::state::State;

/// How many past requests a new listener gets.
const PAST: u64 = 200;

/// The state is looked at so often, if no request comes.
const PERIOD: Duration = Duration::from_secs(1);

/// Requests are sent in batches this far apart, of so many at most: a thousand in a second are more
/// than a person reads and less than a page bears.
const PAUSE: Duration = Duration::from_millis(100);
const BATCH: u64 = 100;

/// Of so many requests that are under way a listener gets the end.
const FOLLOWED: usize = 1000;

/// Follows the emulator for one listener, until it leaves. `None` if there are too many.
pub(crate) fn follow(state: Arc<State>) -> Option<mpsc::Receiver<Vec<u8>>> {
    let place = Arc::clone(&state.listeners).try_acquire_owned().ok()?;
    let (send, receive) = mpsc::channel(64);
    tokio::spawn(async move {
        tokio::select! {
            () = send.closed() => {}
            _ = tell(&state, &send) => {}
        }
        drop(place);
    });
    Some(receive)
}

/// Tells what is new, again and again. `None` once the listener has left.
async fn tell(state: &State, send: &mpsc::Sender<Vec<u8>>) -> Option<()> {
    let mut since = Since {
        after: state.journal().last_id().saturating_sub(PAST),
        pending: Vec::new(),
    };
    let (mut known, mut limit) = (Value::Null, PAST);
    loop {
        let news = state.news.notified();
        tokio::pin!(news);
        news.as_mut().enable();
        let News { requests, left_out } = since.take(state, limit);
        // Those of the past that are forgotten were not left out.
        let left_out = if limit == PAST { 0 } else { left_out };
        limit = BATCH;
        let told = !requests.is_empty();
        for request in requests {
            send.send(event("request", &request.to_json())).await.ok()?;
            // Other listeners may do the same at this moment, and all have to be short.
            tokio::task::yield_now().await;
        }
        if left_out > 0 {
            let count = json!({ "count": left_out });
            send.send(event("left-out", &count)).await.ok()?;
        }
        let excess = since.pending.len().saturating_sub(FOLLOWED);
        since.pending.drain(..excess);
        let now = overview(state);
        if now != known {
            send.send(event("state", &now)).await.ok()?;
            known = now;
        }
        if !told {
            let _ = tokio::time::timeout(PERIOD, news).await;
        }
        tokio::time::sleep(PAUSE).await;
    }
}

fn event(name: &str, data: &Value) -> Vec<u8> {
    format!("event: {name}\ndata: {data}\n\n").into_bytes()
}
