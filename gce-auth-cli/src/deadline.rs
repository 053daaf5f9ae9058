//! Ends the process at `--timeout`, whatever it is doing.

use std::{process, sync::mpsc, thread, time::Duration};

use crate::{
    exit::{Exit, MORE_TIME},
    output::Output,
    text,
};

/// The time for operations to end by themselves, as they know the reason better.
const GRACE: Duration = Duration::from_millis(500);

/// Ends the process a moment after `timeout`, if it is still there.
pub(crate) fn set(timeout: Duration, out: Output) {
    let watch = move || {
        let (_open, never) = mpsc::channel::<()>();
        let _ = never.recv_timeout(timeout + GRACE);
        let limit = text::lasting(timeout);
        out.note(format_args!("not done within {limit}; {MORE_TIME}"));
        process::exit(Exit::Timeout as i32);
    };
    // If no thread can start, the limits of each request still hold.
    let _ = thread::Builder::new()
        .name("deadline".to_owned())
        .spawn(watch);
}
