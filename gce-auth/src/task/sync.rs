//! Locks and atomics, from the standard library or from the model checker.

#[cfg(gce_auth_loom)]
pub(crate) use loom::sync::{Condvar, Mutex, MutexGuard, RwLock, atomic::AtomicU64};
#[cfg(not(gce_auth_loom))]
pub(crate) use std::sync::{Condvar, Mutex, MutexGuard, RwLock, atomic::AtomicU64};

use std::{sync::PoisonError, time::Duration};

/// Locks, also after a panic elsewhere: what is kept here is whole at every
/// point where a panic could happen.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Waits until `done`, at most for `limit`; whether it is done.
pub(crate) fn wait_until<'a, T>(
    condition: &Condvar,
    mut guard: MutexGuard<'a, T>,
    limit: Duration,
    done: impl Fn(&T) -> bool,
) -> MutexGuard<'a, T> {
    #[cfg(not(gce_auth_loom))]
    {
        guard = condition
            .wait_timeout_while(guard, limit, |state| !done(state))
            .unwrap_or_else(PoisonError::into_inner)
            .0;
    }
    #[cfg(gce_auth_loom)]
    {
        let _ = limit;
        while !done(&guard) {
            guard = condition
                .wait(guard)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }
    guard
}
