//! Hits of a thread that asked before: no lock, and no other thread's business.

use std::{sync::mpsc, thread, time::Duration};

use crate::{
    Credentials, IdTokenCredentials, io::fake::Reply, tokens::handle::Handle, world::World,
};

/// Has a thread do `hit` three times, the last time while the token is locked
/// for writing. The first two move a copy into the thread.
fn takes_no_lock(handle: &Handle, hit: impl Fn() -> bool + Send) -> bool {
    let (done, hits) = mpsc::channel();
    let (go, gate) = mpsc::channel::<()>();
    thread::scope(|scope| {
        scope.spawn(move || {
            for _ in 0..2 {
                done.send(hit()).unwrap();
            }
            gate.recv().unwrap();
            done.send(hit()).unwrap();
        });
        for _ in 0..2 {
            assert!(hits.recv().unwrap());
        }
        let slot = &handle.inner.cache.refreshes().shared.slot;
        let third = slot.change(|_| {
            go.send(()).unwrap();
            Some(hits.recv_timeout(Duration::from_secs(10)))
        });
        third.is_some_and(|hit| hit == Ok(true))
    })
}

#[test]
fn every_way_to_a_token_in_hand_takes_no_lock() {
    let access = Credentials::fixed("t", None).unwrap();
    let identity = IdTokenCredentials::fixed("aud", "t", None).unwrap();
    let tag = access.blocking_headers().unwrap().tag();
    assert!(takes_no_lock(&access.0, || access
        .blocking_headers()
        .is_ok()));
    assert!(takes_no_lock(&access.0, || access.blocking_token().is_ok()));
    assert!(takes_no_lock(&access.0, || access
        .cached_headers()
        .is_some()));
    let unchanged = || access.blocking_headers_if_changed(&tag).unwrap().is_none();
    assert!(takes_no_lock(&access.0, unchanged));
    let tag = identity.blocking_headers().unwrap().tag();
    assert!(takes_no_lock(&identity.0, || identity
        .blocking_headers()
        .is_ok()));
    assert!(takes_no_lock(&identity.0, || identity
        .blocking_token()
        .is_ok()));
    let unchanged = || {
        identity
            .blocking_headers_if_changed(&tag)
            .unwrap()
            .is_none()
    };
    assert!(takes_no_lock(&identity.0, unchanged));
}

#[test]
fn a_token_that_comes_again_after_its_rejection_stays() {
    let same = || Reply::token("same", 3600);
    let world = World::new([same(), same(), same()]);
    let builder = Credentials::builder().client(world.client.clone());
    let credentials = builder.shared(false).build().unwrap();
    let token = credentials.blocking_token().unwrap();
    assert!(
        credentials.invalidate(&token),
        "the first time it is dropped"
    );
    let again = credentials.blocking_token().unwrap();
    assert!(!credentials.invalidate(&again), "there may be no other one");
    assert!(credentials.cached_token().is_some());
    assert_eq!(world.asked().len(), 2);
}
