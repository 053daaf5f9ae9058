//! Locks and atomics, from the standard library or from the model checker.

#[cfg(feature = "_simulation")]
use std::sync::TryLockError;
#[cfg(not(gce_auth_loom))]
pub(crate) use std::sync::{Condvar, Mutex, MutexGuard, RwLock, atomic::AtomicU64};
use std::{sync::PoisonError, time::Duration};

#[cfg(gce_auth_loom)]
pub(crate) use loom::sync::{Condvar, Mutex, MutexGuard, RwLock, atomic::AtomicU64};

#[cfg(feature = "_simulation")]
use crate::task::baton;
#[cfg(not(gce_auth_loom))]
use crate::{
    io::clock::{Clock, SystemClock},
    task::timer::{SLICE, counted},
};

/// Locks, also after a panic elsewhere: what is kept here is whole at every
/// point where a panic could happen.
#[inline(never)] // It stands in forty places, and no hit comes by one of them.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    #[cfg(feature = "_simulation")]
    if let Some(baton) = baton::held() {
        loop {
            match mutex.try_lock() {
                Ok(guard) => return guard,
                Err(TryLockError::Poisoned(poisoned)) => return poisoned.into_inner(),
                Err(TryLockError::WouldBlock) => baton.pass(),
            }
        }
    }
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Wakes all threads that wait for `condition`.
pub(crate) fn notify_all(condition: &Condvar) {
    #[cfg(feature = "_simulation")]
    if let Some(baton) = baton::held() {
        baton.notify();
    }
    condition.notify_all();
}

/// Wakes one of the threads that wait for `condition`.
pub(crate) fn notify_one(condition: &Condvar) {
    #[cfg(feature = "_simulation")]
    if let Some(baton) = baton::held() {
        baton.notify();
    }
    condition.notify_one();
}

/// Waits until `done`, at most for `limit`, pauses of the process left out.
pub(crate) fn wait_until<'a, T>(
    condition: &Condvar,
    mutex: &'a Mutex<T>,
    mut guard: MutexGuard<'a, T>,
    limit: Duration,
    done: impl Fn(&T) -> bool,
) -> MutexGuard<'a, T> {
    #[cfg(feature = "_simulation")]
    if let Some(baton) = baton::held() {
        let mut left = limit;
        while !left.is_zero() && !done(&guard) {
            drop(guard);
            left = left.saturating_sub(baton.wait(left));
            guard = lock(mutex);
        }
        return guard;
    }
    let _ = mutex;
    #[cfg(not(gce_auth_loom))]
    {
        let clock = SystemClock::new();
        let mut left = limit;
        while !left.is_zero() && !done(&guard) {
            let slice = left.min(SLICE);
            let before = clock.now().boot;
            let (waited, timeout) = condition
                .wait_timeout_while(guard, slice, |state| !done(state))
                .unwrap_or_else(PoisonError::into_inner);
            guard = waited;
            if timeout.timed_out() {
                let took = clock.now().boot.saturating_sub(before);
                left = left.saturating_sub(counted(slice, took.max(slice)));
            }
        }
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
