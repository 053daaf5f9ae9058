//! ID tokens for many audiences at once: one request for each, and a cache that
//! stays within its bound.

#![allow(clippy::unwrap_used, reason = "a test says with it what it expects")]

mod support;

use std::{
    collections::{BTreeMap, BTreeSet},
    future::{Future, poll_fn},
    pin::pin,
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    task::Poll,
};

use gce_auth::{
    IdTokenCredentials,
    transport::{HttpTransport, Limits, Transport, TransportError},
};
use gce_auth_emulator::Emulator;
use support::{IDENTITY, client, emulator, until};

/// How many audiences one family of credentials remembers (`docs::limits`).
const BOUND: usize = 256;

fn audience(n: usize) -> String {
    format!("https://service-{n}.example/?a=b&c=é")
}

/// How often each audience was asked for.
fn asked(emulator: &Emulator) -> BTreeMap<String, usize> {
    let mut asked = BTreeMap::new();
    for request in emulator.requests() {
        if request.path.ends_with(IDENTITY) {
            *asked.entry(request.query).or_default() += 1;
        }
    }
    asked
}

/// Holds all requests back until it is opened.
#[derive(Debug)]
struct Held {
    http: HttpTransport,
    open: Mutex<bool>,
    opened: Condvar,
}

impl Held {
    fn open(&self) {
        *self.open.lock().unwrap() = true;
        self.opened.notify_all();
    }
}

impl Transport for Held {
    fn send(
        &self,
        request: http::Request<Vec<u8>>,
        limits: &Limits,
    ) -> Result<http::Response<Vec<u8>>, TransportError> {
        let open = self.open.lock().unwrap();
        drop(self.opened.wait_while(open, |open| !*open).unwrap());
        self.http.send(request, limits)
    }
}

#[test]
fn a_thousand_callers_for_a_hundred_audiences_make_a_hundred_requests() {
    const CALLERS: usize = 1000;
    const AUDIENCES: usize = 100;
    let emulator = emulator();
    let held = Arc::new(Held {
        http: HttpTransport::new(),
        open: Mutex::new(false),
        opened: Condvar::new(),
    });
    let client = client(&emulator).transport(Arc::clone(&held) as _);
    let family = IdTokenCredentials::builder(audience(0))
        .client(client.build().unwrap())
        .build()
        .unwrap();
    let waiting = Arc::new(AtomicUsize::new(0));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let tasks: Vec<_> = (0..CALLERS)
        .map(|n| {
            let (family, waiting) = (family.clone(), Arc::clone(&waiting));
            runtime.spawn(async move {
                let audience = audience(n % AUDIENCES);
                let credentials = family.with_audience(&audience).unwrap();
                let mut token = pin!(credentials.token());
                // Counted once it waits, when the token cannot be there yet.
                let first = poll_fn(|context| Poll::Ready(token.as_mut().poll(context))).await;
                assert!(first.is_pending());
                waiting.fetch_add(1, SeqCst);
                let token = token.await.unwrap();
                assert_eq!(token.claims().audience(), Some(&*audience));
                token.secret().to_owned()
            })
        })
        .collect();
    until("all callers wait", || waiting.load(SeqCst) == CALLERS);
    assert_eq!(emulator.requests().len(), 0);
    held.open();
    let tokens: BTreeSet<String> = runtime.block_on(async {
        let mut tokens = BTreeSet::new();
        for task in tasks {
            tokens.insert(task.await.unwrap());
        }
        tokens
    });
    assert_eq!(tokens.len(), AUDIENCES);
    let counted = asked(&emulator);
    assert_eq!(counted.len(), AUDIENCES);
    assert!(counted.values().all(|count| *count == 1), "{counted:?}");
    // Threads find what tasks fetched.
    std::thread::scope(|scope| {
        for n in 0..AUDIENCES {
            let (family, tokens) = (&family, &tokens);
            scope.spawn(move || {
                let credentials = family.with_audience(audience(n)).unwrap();
                let token = credentials.blocking_token().unwrap();
                assert!(tokens.contains(token.secret()));
            });
        }
    });
    assert_eq!(emulator.requests().len(), AUDIENCES);
}

#[test]
fn a_family_remembers_so_many_audiences_and_forgets_the_least_recently_used() {
    const MORE: usize = 40;
    let emulator = emulator();
    let family = IdTokenCredentials::builder("https://family.example")
        .client(client(&emulator).build().unwrap())
        .build()
        .unwrap();
    let ask = |n: usize| {
        let credentials = family.with_audience(audience(n)).unwrap();
        credentials.blocking_token().unwrap();
    };
    for n in 0..BOUND + MORE {
        ask(n);
        // Used all the time, this one is never the least recently used.
        ask(0);
    }
    assert_eq!(emulator.requests().len(), BOUND + MORE);
    emulator.clear_requests();
    // With the first, the last ones are remembered, as many as there is room.
    ask(0);
    for n in (MORE + 1..BOUND + MORE).rev() {
        ask(n);
    }
    assert_eq!(emulator.requests().len(), 0);
    ask(MORE);
    assert_eq!(emulator.requests().len(), 1);
    // What is alive is kept beside it.
    let alive = family.with_audience(audience(1)).unwrap();
    alive.blocking_token().unwrap();
    emulator.clear_requests();
    for n in 1000..1000 + BOUND {
        ask(n);
    }
    assert_eq!(emulator.requests().len(), BOUND);
    alive.blocking_token().unwrap();
    ask(1);
    assert_eq!(emulator.requests().len(), BOUND);
}
