//! A client that follows a value, while events are played.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use gce_auth_conformance::interop::{Client, Transcript};
use gce_auth_emulator::Emulator;

/// Runs a client that waits for changes of a value, while events are played; each is played once
/// the client waits again.
pub(crate) fn run_while(
    client: &Client,
    emulator: &Emulator,
    path: &str,
    more: &[(&str, String)],
    play: &[&(dyn Fn() + Sync)],
) -> Transcript {
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            for (index, play) in play.iter().enumerate() {
                // The first request is for the value, each other one waits.
                if waits(emulator, path, index + 2, &over) {
                    play();
                }
            }
        });
        let _over = AtEnd(&over);
        super::run(client, emulator, more)
    })
}

/// Returns the values that a subscriber to a path sees until this one, while events are played.
pub(crate) fn follow(
    client: &Client,
    emulator: &Emulator,
    path: &str,
    until: &str,
    play: &[&(dyn Fn() + Sync)],
) -> serde_json::Value {
    let more = [
        ("SUBSCRIBE_TO", path.to_owned()),
        ("UNTIL", until.to_owned()),
    ];
    let seen = run_while(client, emulator, path, &more, play);
    seen.step("follow")["values"].clone()
}

#[expect(
    clippy::disallowed_methods,
    reason = "the client runs in a process of its own, by the machine's clock"
)]
fn waits(emulator: &Emulator, path: &str, time: usize, over: &AtomicBool) -> bool {
    while emulator.request_count(path) < time || emulator.waiting() == 0 {
        if over.load(Ordering::Relaxed) {
            return false;
        }
        thread::sleep(Duration::from_millis(1));
    }
    true
}

/// Says that the client is done, even when it failed.
struct AtEnd<'a>(&'a AtomicBool);

impl Drop for AtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
