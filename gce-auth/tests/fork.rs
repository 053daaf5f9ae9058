//! After a fork the child of a process with no call in progress works, and so
//! does the parent.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test says with it what it expects")]
#![expect(unsafe_code, reason = "fork(2) cannot be called without")]

mod support;

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use futures_executor::block_on;
use gce_auth::{Credentials, IdTokenCredentials};
use gce_auth_emulator::{Emulator, Fault};
use support::{IDENTITY, TOKEN, credentials, emulator, until};

/// A child that hangs is ended after so many seconds.
const ALARM: libc::c_uint = 30;

/// One fork at a time, so that no other test has a call in progress.
static ALONE: Mutex<()> = Mutex::new(());

/// Does `work` in a child of this process. It gives the child's exit status:
/// 0, or what it could not do.
fn in_a_child(work: impl FnOnce() -> Result<(), u8>) -> i32 {
    // SAFETY: the child does nothing but `work`, and leaves without unwinding,
    // without running destructors and without the test harness.
    let child = unsafe { libc::fork() };
    assert!(child >= 0, "no child could be made");
    if child == 0 {
        // SAFETY: `alarm` has no requirements.
        unsafe { libc::alarm(ALARM) };
        let code = work().err().unwrap_or(0);
        // SAFETY: nothing of this process is used after it.
        unsafe { libc::_exit(code.into()) };
    }
    let mut status = 0;
    // SAFETY: `status` is a valid place for a status.
    let waited = unsafe { libc::waitpid(child, &raw mut status, 0) };
    assert_eq!(waited, child);
    assert!(
        !libc::WIFSIGNALED(status),
        "the child hung, or died of signal {}",
        libc::WTERMSIG(status)
    );
    libc::WEXITSTATUS(status)
}

/// Uses a credential in every way, so that connections are kept and threads
/// were used.
fn warm(emulator: &Emulator) -> Credentials {
    let credentials = credentials(emulator);
    block_on(credentials.headers()).unwrap();
    credentials.blocking_refresh().unwrap();
    block_on(credentials.client().project_id()).unwrap();
    for _ in 0..3 {
        credentials.blocking_headers().unwrap();
    }
    credentials
}

/// Fetches another token than the one that is held, in every way.
fn renew(credentials: &Credentials, first_code: u8) -> Result<(), u8> {
    credentials.cached_token().ok_or(first_code)?;
    credentials.blocking_refresh().map_err(|_| first_code + 1)?;
    let held = credentials.cached_token().ok_or(first_code + 2)?;
    credentials.invalidate(&held);
    block_on(credentials.headers()).map_err(|_| first_code + 3)?;
    block_on(credentials.refresh()).map_err(|_| first_code + 4)
}

#[test]
fn a_child_fetches_tokens_of_its_own_and_so_does_its_parent_after_it() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let emulator = emulator();
    let credentials = warm(&emulator);
    let identity = IdTokenCredentials::builder("https://a")
        .endpoint(emulator.addr().to_string())
        .build()
        .unwrap();
    identity.blocking_token().unwrap();
    let held = credentials.cached_token().unwrap();
    emulator.rotate_token();
    let before = emulator.request_count(TOKEN);

    let code = in_a_child(|| {
        let inherited = credentials.blocking_token().map_err(|_| 1)?;
        if inherited != held {
            return Err(2);
        }
        renew(&credentials, 10)?;
        if credentials.cached_token().is_none_or(|token| token == held) {
            return Err(3);
        }
        identity.blocking_refresh().map_err(|_| 4)?;
        let fresh = support::credentials(&emulator).with_scopes(["another"]);
        block_on(fresh.headers()).map_err(|_| 5)?;
        block_on(fresh.client().zone()).map_err(|_| 6)?;
        Ok(())
    });
    assert_eq!(code, 0, "what the child could not do");
    assert_eq!(emulator.request_count(TOKEN), before + 4);
    assert_eq!(emulator.request_count(IDENTITY), 2);

    assert_eq!(
        credentials.cached_token(),
        Some(held),
        "the child's tokens are the child's"
    );
    assert_eq!(renew(&credentials, 10), Ok(()));
    assert_eq!(emulator.request_count(TOKEN), before + 7);
}

#[test]
fn children_of_a_child_work_and_many_children_do() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let emulator = emulator();
    let credentials = warm(&emulator);
    for _ in 0..5 {
        let code = in_a_child(|| {
            renew(&credentials, 10)?;
            let code = in_a_child(|| renew(&credentials, 20));
            if code != 0 {
                return Err(u8::try_from(code).unwrap_or(1));
            }
            renew(&credentials, 30)
        });
        assert_eq!(code, 0, "what the child could not do");
    }
    assert_eq!(renew(&credentials, 10), Ok(()));
}

#[test]
fn a_child_does_not_wait_for_the_call_that_its_parent_is_in() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let emulator = emulator();
    let credentials = credentials(&emulator);
    emulator.fail_next(TOKEN, 1, Fault::Hang);
    assert!(credentials.cached_headers().is_none());
    until("the call waits for its answer", || {
        emulator.request_count(TOKEN) == 1
    });
    let code = in_a_child(|| {
        credentials.blocking_token().map_err(|_| 1)?;
        renew(&credentials, 10)
    });
    assert_eq!(code, 0, "what the child could not do");
    // The parent's own call is repeated after its limit, and succeeds.
    assert!(credentials.blocking_token().is_ok());
}

#[test]
fn a_child_watches_for_itself_and_leaves_its_parents_wait_alone() {
    const KEY: &str = "instance/attributes/key";
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let emulator = Emulator::builder().set(KEY, "one").start().unwrap();
    let client = support::client(&emulator).build().unwrap();
    let mut watch = client.watch(KEY);
    watch.blocking_next().unwrap();
    let soon = Duration::from_millis(1);
    assert_eq!(watch.blocking_next_within(soon).unwrap(), None);
    until("the parent waits", || emulator.waiting() == 1);
    let code = in_a_child(|| {
        let later = Duration::from_millis(300);
        if watch.blocking_next_within(later).map_err(|_| 1)?.is_some() {
            return Err(2);
        }
        // Both waits are dropped here: the child's, and its copy of the parent's.
        watch = client.watch(KEY);
        watch.blocking_next().map_err(|_| 3).map(drop)
    });
    assert_eq!(code, 0, "what the child could not do");
    emulator.set(KEY, "two").unwrap();
    assert_eq!(watch.blocking_next().unwrap().text(), Some("two"));
    // Two of the parent, and two of the child: no wait was broken and begun again.
    assert_eq!(emulator.request_count(KEY), 4);
}
