//! Floor 4: blocking work that any mix of threads and tasks waits for.

pub(crate) mod shared_task;
pub(crate) mod sync;
