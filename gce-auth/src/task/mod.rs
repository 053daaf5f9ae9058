//! Blocking work that any mix of threads and tasks waits for, and the
//! threads that do it.

pub(crate) mod background;
#[cfg(feature = "_simulation")]
pub(crate) mod baton;
pub(crate) mod ended;
pub(crate) mod lanes;
pub(crate) mod per_process;
pub(crate) mod shared_task;
pub(crate) mod sync;
pub(crate) mod timer;
pub(crate) mod under_way;
