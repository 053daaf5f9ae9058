//! Entries by key, so many at most: the one that was used the longest ago makes room, of those that
//! are worth nothing yet if there are any.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
};

/// Entries by key.
#[derive(Debug)]
pub(crate) struct Kept<K, V> {
    most: usize,
    /// Whether a value is worth keeping.
    is_worth: fn(&V) -> bool,
    /// Counts uses.
    turn: AtomicU64,
    /// The turn at the last two marks, the earlier one first.
    marks: Mutex<[u64; 2]>,
    entries: RwLock<HashMap<K, Arc<Entry<V>>>>,
}

#[derive(Debug)]
struct Entry<V> {
    used: AtomicU64,
    value: V,
}

impl<K: Clone + Eq + Hash, V: Clone> Kept<K, V> {
    pub(crate) fn new(most: usize, is_worth: fn(&V) -> bool) -> Self {
        Self {
            most,
            is_worth,
            turn: AtomicU64::new(0),
            marks: Mutex::default(),
            entries: RwLock::default(),
        }
    }

    /// Returns the entry, and counts that as a use.
    pub(crate) fn get(&self, key: &K) -> Option<V> {
        let entries = self.entries.read().unwrap_or_else(PoisonError::into_inner);
        let entry = entries.get(key)?;
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        entry.used.store(turn, Ordering::Relaxed);
        Some(entry.value.clone())
    }

    /// Returns the entry, or the one that is made now.
    pub(crate) fn get_or_insert<E>(
        &self,
        key: &K,
        make: impl FnOnce() -> Result<V, E>,
    ) -> Result<V, E> {
        if let Some(value) = self.get(key) {
            return Ok(value);
        }
        let made = make()?;
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = entries.get(key) {
            return Ok(entry.value.clone());
        }
        if entries.len() >= self.most {
            let rank = |entry: &Entry<V>| {
                let used = entry.used.load(Ordering::Relaxed);
                ((self.is_worth)(&entry.value), used)
            };
            let oldest = entries.iter().min_by_key(|(_, entry)| rank(entry));
            if let Some(oldest) = oldest.map(|(key, _)| key.clone()) {
                entries.remove(&oldest);
            }
        }
        let entry = Entry {
            used: AtomicU64::new(self.turn.fetch_add(1, Ordering::Relaxed)),
            value: made.clone(),
        };
        entries.insert(key.clone(), Arc::new(entry));
        Ok(made)
    }

    /// Begins a new period.
    pub(crate) fn mark(&self) {
        let mut marks = self.marks.lock().unwrap_or_else(PoisonError::into_inner);
        *marks = [marks[1], self.turn.load(Ordering::Relaxed)];
    }

    /// Returns the entries that were used in this period or the one before. No use of them.
    pub(crate) fn recent(&self) -> Vec<V> {
        let [since, _] = *self.marks.lock().unwrap_or_else(PoisonError::into_inner);
        let entries = self.entries.read().unwrap_or_else(PoisonError::into_inner);
        let used = |entry: &&Arc<Entry<V>>| entry.used.load(Ordering::Relaxed) >= since;
        let recent = entries.values().filter(used);
        recent.map(|entry| entry.value.clone()).collect()
    }

    /// Returns all entries with their keys. No use of them.
    pub(crate) fn all(&self) -> Vec<(K, V)> {
        let entries = self.entries.read().unwrap_or_else(PoisonError::into_inner);
        let copy = |(key, entry): (&K, &Arc<Entry<V>>)| (key.clone(), entry.value.clone());
        entries.iter().map(copy).collect()
    }

    /// Takes all entries away.
    pub(crate) fn clear(&self) -> Vec<V> {
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        let gone = std::mem::take(&mut *entries);
        gone.into_values()
            .map(|entry| entry.value.clone())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_worth_nothing_makes_room_first() {
        // Odd numbers are worth nothing.
        let kept = Kept::new(4, |value: &u32| value.is_multiple_of(2));
        let put = |key: u32| kept.get_or_insert(&key, || Ok::<_, ()>(key)).unwrap();
        let _ = [2, 4, 6].map(put);
        for odd in 0..100 {
            put(2 * odd + 1);
        }
        let mut keys: Vec<_> = kept.all().into_iter().map(|(key, _)| key).collect();
        keys.sort_unstable();
        assert_eq!(keys, [2, 4, 6, 199]);
        let _ = [8, 10].map(put);
        keys = kept.all().into_iter().map(|(key, _)| key).collect();
        keys.sort_unstable();
        assert_eq!(keys, [4, 6, 8, 10]);
    }

    #[test]
    fn the_least_recently_used_makes_room() {
        let kept = Kept::new(3, |_| true);
        let put = |key: u32| kept.get_or_insert(&key, || Ok::<_, ()>(key * 10));
        assert_eq!([put(1), put(2), put(3)], [Ok(10), Ok(20), Ok(30)]);
        assert_eq!(kept.get(&1), Some(10));
        put(4).unwrap();
        let mut keys: Vec<_> = kept.all().into_iter().map(|(key, _)| key).collect();
        keys.sort_unstable();
        assert_eq!(keys, [1, 3, 4]);
        assert_eq!(kept.get_or_insert(&3, || Err("not made")), Ok(30));
        assert_eq!(kept.get_or_insert(&9, || Err("not made")), Err("not made"));
        kept.mark();
        kept.get(&3);
        kept.mark();
        assert_eq!(kept.recent(), [30]);
        kept.mark();
        assert!(kept.recent().is_empty());
        assert_eq!((kept.clear().len(), kept.all().len()), (3, 0));
    }
}
