//! What a forked child must not take over.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// A value of this process: a fork leaves its parent's threads behind, and with
/// them whatever lock one of them held, so a child starts with a new one.
pub(crate) struct PerProcess<T>(OnceLock<Mutex<(u32, Arc<T>)>>);

impl<T> Default for PerProcess<T> {
    fn default() -> Self {
        Self(OnceLock::new())
    }
}

impl<T: Default> PerProcess<T> {
    pub(crate) const fn new() -> Self {
        Self(OnceLock::new())
    }

    pub(crate) fn get(&self) -> Arc<T> {
        let process = std::process::id();
        let held = self.0.get_or_init(|| Mutex::new((process, Arc::default())));
        let mut held = held.lock().unwrap_or_else(PoisonError::into_inner);
        if held.0 != process {
            *held = (process, Arc::default());
        }
        Arc::clone(&held.1)
    }
}
