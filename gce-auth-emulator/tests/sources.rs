//! Real tokens: what a source that fails, hangs or is slow does to those who ask.

#![allow(clippy::unwrap_used, reason = "a test says with it what it expects")]

mod client;

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
        mpsc::{Receiver, Sender, channel},
    },
    time::Duration,
};

use client::{get, token};
use gce_auth_emulator::{Account, Emulator, EmulatorBuilder, TokenFuture, TokenSource};

const HOUR: Duration = Duration::from_secs(3600);

fn two_accounts() -> EmulatorBuilder {
    Emulator::builder()
        .account(Account::new("fast@p.iam.gserviceaccount.com"))
        .account(Account::new("slow@p.iam.gserviceaccount.com"))
}

/// A gate that a source waits at, and how to open it.
fn gate() -> (Sender<()>, Arc<Mutex<Receiver<()>>>) {
    let (open, gate) = channel();
    (open, Arc::new(Mutex::new(gate)))
}

#[test]
fn a_good_token_outlives_a_renewal_that_fails() {
    let calls = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&calls);
    let emulator = Emulator::builder()
        .token_source(move |_, _| match count.fetch_add(1, Ordering::SeqCst) {
            0 => Ok(("ya29.first".to_owned(), HOUR)),
            _ => Err("down".to_owned()),
        })
        .start()
        .unwrap();
    assert_eq!(token(emulator.addr(), "default"), "ya29.first");
    emulator.advance(HOUR - Duration::from_secs(9));
    for _ in 0..5 {
        assert_eq!(token(emulator.addr(), "default"), "ya29.first");
    }
    assert!(calls.load(Ordering::SeqCst) >= 2, "a renewal was tried");
    emulator.advance(Duration::from_secs(10));
    let answer = get(emulator.addr(), "instance/service-accounts/default/token");
    assert_eq!((answer.status, answer.text()), (500, "down\n"));
}

#[test]
fn a_good_token_outlives_a_renewal_that_hangs() {
    let (open, hung) = gate();
    let calls = AtomicUsize::new(0);
    let emulator = Emulator::builder()
        .token_source(move |_, _| match calls.fetch_add(1, Ordering::SeqCst) {
            0 => Ok(("ya29.first".to_owned(), HOUR)),
            _ => {
                let _ = hung.lock().unwrap().recv();
                Ok(("ya29.second".to_owned(), 2 * HOUR))
            }
        })
        .start()
        .unwrap();
    assert_eq!(token(emulator.addr(), "default"), "ya29.first");
    emulator.advance(HOUR - Duration::from_secs(9));
    for _ in 0..3 {
        assert_eq!(token(emulator.addr(), "default"), "ya29.first");
    }
    drop(open);
    while token(emulator.addr(), "default") != "ya29.second" {}
}

#[test]
fn a_slow_account_delays_no_other() {
    let (open, slow) = gate();
    let emulator = two_accounts()
        .token_source(move |email, _| {
            if email.starts_with("slow") {
                let _ = slow.lock().unwrap().recv();
            }
            Ok((format!("ya29.{email}"), HOUR))
        })
        .start()
        .unwrap();
    let address = emulator.addr();
    let waiting = std::thread::spawn(move || token(address, "slow@p.iam.gserviceaccount.com"));
    while emulator.requests().is_empty() {
        std::thread::yield_now();
    }
    assert!(token(address, "fast@p.iam.gserviceaccount.com").starts_with("ya29.fast"));
    assert!(!waiting.is_finished());
    drop(open);
    assert!(waiting.join().unwrap().starts_with("ya29.slow"));
}

#[test]
fn all_who_wait_share_one_lookup_and_its_failure() {
    let (open, gate) = gate();
    let calls = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&calls);
    let emulator = Emulator::builder()
        .token_source(move |_, _| {
            count.fetch_add(1, Ordering::SeqCst);
            let _ = gate.lock().unwrap().recv();
            Err("down".to_owned())
        })
        .start()
        .unwrap();
    let address = emulator.addr();
    let path = "instance/service-accounts/default/token";
    let clients: Vec<_> = (0..8)
        .map(|_| std::thread::spawn(move || get(address, path).status))
        .collect();
    while emulator.request_count(path) < 8 {
        std::thread::yield_now();
    }
    drop(open);
    for client in clients {
        assert_eq!(client.join().unwrap(), 500);
    }
    assert_eq!(calls.load(Ordering::SeqCst), 1);
}

#[test]
fn a_source_that_panics_is_an_error_and_asked_again() {
    let calls = AtomicUsize::new(0);
    let emulator = Emulator::builder()
        .token_source(move |_, _| match calls.fetch_add(1, Ordering::SeqCst) {
            0 => panic!("on purpose"),
            _ => Ok(("ya29.second".to_owned(), HOUR)),
        })
        .start()
        .unwrap();
    assert_eq!(
        get(emulator.addr(), "instance/service-accounts/default/token").status,
        500
    );
    assert_eq!(token(emulator.addr(), "default"), "ya29.second");
}

#[test]
fn a_source_may_be_asynchronous() {
    struct Ready;
    impl TokenSource for Ready {
        fn token(self: Arc<Self>, email: String, scopes: Vec<String>) -> TokenFuture {
            Box::pin(async move { Ok((format!("ya29.{email}.{}", scopes.len()), HOUR)) })
        }
    }
    let emulator = two_accounts().async_token_source(Ready).start().unwrap();
    let found = token(emulator.addr(), "default");
    assert_eq!(found, "ya29.fast@p.iam.gserviceaccount.com.1");
}
