//! Same settings, same value: what a process shares, and how long it lives.

use std::{
    any::Any,
    collections::HashMap,
    hash::{Hash, Hasher},
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

/// A key of any type; keys of different types are not equal.
pub(crate) struct SharingKey(Box<dyn AnyKey>);

impl SharingKey {
    pub(crate) fn of(key: impl Eq + Hash + Send + Sync + 'static) -> Self {
        Self(Box::new(key))
    }
}

impl PartialEq for SharingKey {
    fn eq(&self, other: &Self) -> bool {
        self.0.is_equal((*other.0).as_any())
    }
}

impl Eq for SharingKey {}

impl Hash for SharingKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash_into(state);
    }
}

trait AnyKey: Send + Sync {
    fn as_any(&self) -> &dyn Any;
    fn is_equal(&self, other: &dyn Any) -> bool;
    fn hash_into(&self, state: &mut dyn Hasher);
}

impl<K: Eq + Hash + Send + Sync + 'static> AnyKey for K {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn is_equal(&self, other: &dyn Any) -> bool {
        other.downcast_ref::<K>() == Some(self)
    }

    fn hash_into(&self, mut state: &mut dyn Hasher) {
        self.hash(&mut state);
    }
}

/// What is alive in this process, by what it would ask for. Keeps nothing
/// alive itself.
#[derive(Debug)]
pub(crate) struct Registry<K, T>(Mutex<Option<HashMap<K, Weak<T>>>>);

impl<K: Eq + Hash, T> Registry<K, T> {
    pub(crate) const fn new() -> Self {
        Self(Mutex::new(None))
    }

    /// What lives under `key`, or what `make` makes.
    pub(crate) fn get_or_insert(&self, key: K, make: impl FnOnce() -> T) -> Arc<T> {
        let mut held = lock(&self.0);
        let held = held.get_or_insert_default();
        if let Some(alive) = held.get(&key).and_then(Weak::upgrade) {
            return alive;
        }
        if held.len() >= 32 && held.len().is_power_of_two() {
            held.retain(|_, value| value.strong_count() > 0);
        }
        let made = Arc::new(make());
        held.insert(key, Arc::downgrade(&made));
        made
    }
}

/// What the members of one family used lately: kept alive as long as one of
/// them lives, the least recently used going first.
#[derive(Debug)]
pub(crate) struct Family<T> {
    bound: usize,
    kept: Mutex<Vec<Arc<T>>>,
}

impl<T> Family<T> {
    pub(crate) const fn new(bound: usize) -> Self {
        Self {
            bound,
            kept: Mutex::new(Vec::new()),
        }
    }

    /// Marks `member` as used just now.
    pub(crate) fn keep(&self, member: &Arc<T>) {
        let mut kept = lock(&self.kept);
        let gone = match kept.iter().position(|other| Arc::ptr_eq(other, member)) {
            Some(position) => {
                kept[position..].rotate_left(1);
                None
            }
            None => {
                let gone = (kept.len() >= self.bound).then(|| kept.remove(0));
                kept.push(Arc::clone(member));
                gone
            }
        };
        drop(kept);
        drop(gone);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(all(test, not(gce_auth_loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_same_key_shares_while_somebody_holds_on() {
        let registry = Registry::new();
        let one = registry.get_or_insert("k", || 1);
        let two = registry.get_or_insert("k", || 2);
        assert!(Arc::ptr_eq(&one, &two));
        assert_eq!(*registry.get_or_insert("other", || 3), 3);
        drop((one, two));
        assert_eq!(*registry.get_or_insert("k", || 4), 4);
    }

    #[test]
    fn the_dead_are_cleared_away() {
        let registry = Registry::new();
        for n in 0..10_000 {
            registry.get_or_insert(n, || n);
        }
        let held = lock(&registry.0);
        assert!(held.as_ref().unwrap().len() <= 64);
    }

    #[test]
    fn a_family_forgets_the_least_recently_used() {
        let family = Family::new(2);
        let (a, b, c) = (Arc::new("a"), Arc::new("b"), Arc::new("c"));
        family.keep(&a);
        family.keep(&b);
        family.keep(&a);
        family.keep(&c);
        let kept: Vec<&str> = lock(&family.kept).iter().map(|kept| **kept).collect();
        assert_eq!(kept, ["a", "c"]);
    }
}
