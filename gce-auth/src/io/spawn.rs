//! Starts threads.

use std::{io, thread};

/// Starts a thread that does `job`, with a stack of `stack` bytes or of as many as is usual.
///
/// The job is boxed: what starts a thread is 2 KB for each type of job.
pub(super) fn start(
    name: &str,
    stack: Option<usize>,
    job: Box<dyn FnOnce() + Send>,
) -> io::Result<()> {
    let mut thread = thread::Builder::new().name(name.to_owned());
    if let Some(bytes) = stack {
        thread = thread.stack_size(bytes);
    }
    thread.spawn(job).map(drop)
}
