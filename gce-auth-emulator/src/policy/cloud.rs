//! The settings that hold now, and the refresh tokens that were revoked.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::policy::settings::Settings;

/// What the APIs beside the metadata server know.
pub(crate) struct Cloud {
    initial: Arc<Settings>,
    settings: Mutex<Arc<Settings>>,
    /// Of configured users only, so there are not many.
    revoked: Mutex<BTreeSet<String>>,
}

impl Cloud {
    pub(crate) fn new(settings: Settings) -> Self {
        let initial = Arc::new(settings);
        Self {
            settings: Mutex::new(Arc::clone(&initial)),
            initial,
            revoked: Mutex::default(),
        }
    }

    pub(crate) fn settings(&self) -> Arc<Settings> {
        Arc::clone(&lock(&self.settings))
    }

    /// Replaces the settings. Refresh tokens are good again.
    pub(crate) fn set(&self, settings: Settings) {
        *lock(&self.settings) = Arc::new(settings);
        lock(&self.revoked).clear();
    }

    /// Restores what was configured at the start.
    pub(crate) fn reset(&self) {
        *lock(&self.settings) = Arc::clone(&self.initial);
        lock(&self.revoked).clear();
    }

    pub(crate) fn is_revoked(&self, refresh_token: &str) -> bool {
        lock(&self.revoked).contains(refresh_token)
    }

    pub(crate) fn revoke(&self, refresh_token: String) {
        lock(&self.revoked).insert(refresh_token);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
