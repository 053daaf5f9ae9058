//! Long polls: one upstream for all callers that wait for the same.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use gce_auth::{Error, MetadataChange, MetadataClient};
use tokio::sync::watch;

use super::found::{Found, slashed};
use crate::source::failure::Failure;

/// So many different values are waited for at once: each is a request upstream, and a thread.
const MOST_POLLS: usize = 256;

/// The first answer of the source is waited for so long, also by callers who wait for less.
const PATIENCE: Duration = Duration::from_secs(12);

/// What is waited for: a path, and whether it is a directory with all below it.
type Key = (String, bool);

/// What a poll has seen; `None` before the first answer.
type Seen = Option<Result<Found, Failure>>;

/// The polls under way.
#[derive(Clone, Debug)]
pub(crate) struct Polls {
    client: MetadataClient,
    all: Arc<Mutex<HashMap<Key, watch::Sender<Seen>>>>,
    /// True once the agent stops.
    stop: watch::Sender<bool>,
}

impl Polls {
    pub(crate) fn new(client: MetadataClient) -> Self {
        Self {
            client,
            all: Arc::default(),
            stop: watch::Sender::new(false),
        }
    }

    /// Ends all waits with what there is.
    pub(crate) fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// Waits until the value at a path is another than the one with `last_etag`, else than the one
    /// now, for at most `limit`; returns what is there then. The poll upstream ends with the last
    /// of its callers.
    pub(crate) async fn wait(
        &self,
        key: Key,
        last_etag: Option<&str>,
        limit: Option<Duration>,
    ) -> Result<Found, Failure> {
        let Some(mut seen) = self.joined(key) else {
            let why = format!("callers wait for {MOST_POLLS} values already, which is the most");
            return Err(Failure::unavailable(&why));
        };
        let mut stop = self.stop.subscribe();
        let after = |limit: Option<Duration>| {
            // It begins to run now.
            let sleep = limit.map(tokio::time::sleep);
            async move {
                match sleep {
                    Some(sleep) => sleep.await,
                    None => std::future::pending().await,
                }
            }
        };
        let late = after(limit);
        // What is there is due also to those who do not wait at all.
        let first = async { seen.wait_for(Option::is_some).await.ok()?.clone() };
        let first = tokio::select! {
            biased;
            first = first => first,
            _ = stop.wait_for(|stop| *stop) => None,
            () = after(limit.map(|limit| limit.max(PATIENCE))) => None,
        };
        let no_answer = "the source failed: no answer in time";
        let first = first.unwrap_or_else(|| Err(Failure::unavailable(no_answer)))?;
        if last_etag.is_some_and(|last| !same(first.etag.as_deref(), last)) {
            return Ok(first);
        }
        tokio::select! {
            biased;
            _ = seen.changed() => {}
            _ = stop.wait_for(|stop| *stop) => {}
            () = late => {}
        }
        let now = seen.borrow().clone();
        now.unwrap_or(Ok(first))
    }

    /// Joins the poll for a key, or begins one unless there are too many.
    fn joined(&self, key: Key) -> Option<watch::Receiver<Seen>> {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(poll) = all.get(&key) {
            return Some(poll.subscribe());
        }
        if all.len() >= MOST_POLLS {
            return None;
        }
        let (sender, receiver) = watch::channel(None);
        all.insert(key.clone(), sender.clone());
        let this = self.clone();
        tokio::spawn(async move { this.poll(&key, &sender).await });
        Some(receiver)
    }

    /// Takes a poll off the list if no caller waits. New ones come only while the list is locked.
    fn ends(&self, key: &Key, sender: &watch::Sender<Seen>) -> bool {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        let ends = sender.receiver_count() == 0;
        if ends {
            all.remove(key);
        }
        ends
    }

    async fn poll(&self, key: &Key, sender: &watch::Sender<Seen>) {
        let (path, directory) = key;
        let mut watch = if *directory {
            self.client.watch(slashed(path)).recursive(true)
        } else {
            self.client.watch(path.as_str())
        };
        loop {
            tokio::select! {
                change = watch.next() => {
                    let failed = change.is_err();
                    sender.send_replace(Some(found(change)));
                    if failed {
                        // Who comes now begins anew.
                        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
                        all.remove(key);
                        return;
                    }
                }
                () = sender.closed() => {
                    if self.ends(key, sender) {
                        return;
                    }
                }
            }
        }
    }
}

fn found(change: Result<MetadataChange, Error>) -> Result<Found, Failure> {
    let change = change.map_err(|error| Failure::of(&error))?;
    let Some(value) = change.value() else {
        return Err(Failure::not_found("it was deleted, or never set"));
    };
    Ok(Found {
        body: value.text().to_owned().into(),
        json: value.is_json(),
        etag: change.etag().map(str::to_owned),
    })
}

/// Some clients write the zeros that a server leaves out in front.
fn same(etag: Option<&str>, last: &str) -> bool {
    let bare = |etag: &str| etag.trim_start_matches('0').to_owned();
    etag.is_some_and(|etag| bare(etag) == bare(last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn polls_are_bounded_and_shared_ones_are_not() {
        let client = MetadataClient::builder().endpoint("127.0.0.1:1");
        let polls = Polls::new(client.build().unwrap());
        let (sender, _) = watch::channel(None);
        let key = |number: usize| (number.to_string(), false);
        let under_way = (0..MOST_POLLS).map(|number| (key(number), sender.clone()));
        polls.all.lock().unwrap().extend(under_way);
        assert!(polls.joined(key(MOST_POLLS - 1)).is_some());
        assert!(polls.joined(key(MOST_POLLS)).is_none());
    }

    #[test]
    fn callers_wait_no_longer_than_they_have_to_and_the_poll_ends_with_the_last() {
        use std::io::{Read as _, Write as _};
        let source = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let client = MetadataClient::builder().endpoint(source.local_addr().unwrap().to_string());
        let polls = Polls::new(client.build().unwrap());
        // Slower than a client that does not wait.
        let answers = std::thread::spawn(move || {
            let (mut stream, _) = source.accept().unwrap();
            let _ = stream.read(&mut [0; 4096]).unwrap();
            stream
                .write_all(
                    b"HTTP/1.1 200 OK\r\nMetadata-Flavor: Google\r\nETag: 0123456789abcdef\r\n\
                      Content-Type: application/text\r\n\
                      Content-Length: 4\r\n\r\nNONE",
                )
                .unwrap();
            stream
        });
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        let key = ("instance/maintenance-event".to_owned(), false);
        let wait = |last_etag: Option<&'static str>, limit: Option<Duration>| {
            let wait = polls.wait(key.clone(), last_etag, limit);
            async {
                let soon = tokio::time::timeout(Duration::from_secs(20), wait);
                let found = soon.await.unwrap().unwrap();
                assert_eq!(
                    (&*found.body, found.etag.as_deref()),
                    (&b"NONE"[..], Some("0123456789abcdef"))
                );
            }
        };
        runtime.block_on(async {
            wait(None, Some(Duration::ZERO)).await;
            // The value is another than the one that the caller knows.
            wait(Some("fedcba9876543210"), None).await;
            // It is the same until the agent stops.
            let mut same = std::pin::pin!(wait(Some("123456789abcdef"), None));
            for _ in 0..100 {
                tokio::select! {
                    biased;
                    () = &mut same => panic!("there is no change"),
                    () = tokio::task::yield_now() => {}
                }
            }
            polls.stop();
            same.await;
            let ended = async {
                while !polls.all.lock().unwrap().is_empty() {
                    tokio::task::yield_now().await;
                }
            };
            let soon = tokio::time::timeout(Duration::from_secs(20), ended);
            soon.await.unwrap();
        });
        drop(answers.join().unwrap());
    }

    #[test]
    fn zeros_in_front_of_an_etag_do_not_count() {
        assert!(same(Some("0ab"), "ab") && same(Some("ab"), "00ab"));
        assert!(!same(Some("ab"), "0") && !same(None, "0") && !same(Some("ab"), ""));
    }
}
