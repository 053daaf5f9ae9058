//! The shared value, and its generation.

use std::sync::{PoisonError, atomic::Ordering};

use crate::{
    refresh::policy::Deadlines,
    task::sync::{AtomicU64, RwLock},
};

/// A value, and the moments at which it changes.
#[derive(Clone, Debug)]
pub(crate) struct Entry<V> {
    pub(crate) value: V,
    pub(crate) deadlines: Deadlines,
}

/// One value at a time. Every change is a new generation; generation 0 is
/// empty. A generation that was seen outside the lock tells whether a copy
/// made under it still is the value.
///
/// One line of the processor's cache holds all of it, where the value is a
/// pointer: a caller whose token is in no cache waits for that line and
/// for the count of references.
#[repr(align(64))]
pub(crate) struct Slot<V> {
    generation: AtomicU64,
    entry: RwLock<Option<Entry<V>>>,
}

impl<V: Clone> Slot<V> {
    pub(crate) fn new() -> Self {
        Self {
            generation: AtomicU64::new(0),
            entry: RwLock::new(None),
        }
    }

    #[inline]
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    pub(crate) fn read(&self) -> Option<Entry<V>> {
        self.look(|entry, _| Some(entry.clone()))
    }

    /// What `see` makes of the entry and its generation, under the lock.
    pub(crate) fn look<R>(&self, see: impl FnOnce(&Entry<V>, u64) -> Option<R>) -> Option<R> {
        let entry = self.entry.read().unwrap_or_else(PoisonError::into_inner);
        // It changes under the lock only.
        let generation = self.generation.load(Ordering::Relaxed);
        entry.as_ref().and_then(|entry| see(entry, generation))
    }

    pub(crate) fn store(&self, value: V, deadlines: Deadlines) {
        let mut entry = self.entry.write().unwrap_or_else(PoisonError::into_inner);
        let generation = self.generation.load(Ordering::Relaxed) + 1;
        *entry = Some(Entry { value, deadlines });
        // Released while the lock is held: who sees the number finds the entry.
        self.generation.store(generation, Ordering::Release);
    }

    /// What `change` makes of what is held, under the lock; where it gives
    /// something, it has changed the entry.
    pub(crate) fn change<R>(
        &self,
        change: impl FnOnce(&mut Option<Entry<V>>) -> Option<R>,
    ) -> Option<R> {
        let mut entry = self.entry.write().unwrap_or_else(PoisonError::into_inner);
        let changed = change(&mut entry);
        if changed.is_some() {
            let generation = self.generation.load(Ordering::Relaxed) + 1;
            self.generation.store(generation, Ordering::Release);
        }
        changed
    }

    /// Empties the cell if what it holds is what `rejected` says; whether it was.
    #[cfg(test)]
    pub(crate) fn clear_if(&self, rejected: impl FnOnce(&V) -> bool) -> bool {
        let taken = self.change(|entry| entry.take_if(|entry| rejected(&entry.value)));
        taken.is_some()
    }
}

#[cfg(all(test, not(gce_auth_loom)))]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        refresh::policy::Policy,
        values::token::{Now, Validity},
    };

    fn deadlines() -> Deadlines {
        let start = Now::new(Duration::ZERO, Duration::ZERO);
        Policy::new().deadlines(&Validity::lasting(start, Duration::from_secs(9)), 0.0)
    }

    #[test]
    fn every_change_is_a_new_generation() {
        let cell = Slot::new();
        assert_eq!(cell.generation(), 0);
        assert!(cell.read().is_none());
        cell.store("a", deadlines());
        let seen = cell.look(|entry, generation| Some((entry.value, generation)));
        assert_eq!(seen, Some(("a", cell.generation())));
        cell.store("b", deadlines());
        assert_eq!(cell.generation(), 2);
        assert_eq!(cell.read().unwrap().value, "b");
    }

    #[test]
    fn only_what_was_rejected_is_dropped() {
        let cell = Slot::new();
        cell.store("a", deadlines());
        assert!(!cell.clear_if(|value| *value == "b"));
        assert_eq!(cell.generation(), 1);
        assert!(cell.clear_if(|value| *value == "a"));
        assert_eq!(cell.generation(), 2);
        assert!(cell.read().is_none() && !cell.clear_if(|_| true));
    }
}
