//! Runs the library's blocking work on threads of the runtime, and each watch on one of its own.

use std::thread;

use gce_auth::executor::{Executor, Work, WorkKind};
use tokio::runtime::Handle;

/// Threads of the runtime.
#[derive(Clone, Debug)]
pub(crate) struct RuntimeThreads(pub(crate) Handle);

impl Executor for RuntimeThreads {
    fn execute(&self, work: Work) -> Result<(), Work> {
        if work.kind() != WorkKind::Watch {
            drop(self.0.spawn_blocking(move || work.run()));
            return Ok(());
        }
        // A watch lives as long as a caller waits, and would take a thread from tokens.
        let spawned = thread::Builder::new()
            .name("watch".to_owned())
            .stack_size(256 * 1024)
            .spawn(move || work.run());
        // Work that is dropped is a failure for its callers, and no more.
        drop(spawned);
        Ok(())
    }
}
