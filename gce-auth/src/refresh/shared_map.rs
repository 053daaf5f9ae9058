//! Same settings, same value: what a process shares, and how long it lives.

use std::{
    any::Any,
    collections::HashMap,
    fmt,
    hash::{Hash, Hasher},
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use crate::io::clock::AnyClock;

/// A key of any type; keys of different types are not equal. Cheap to clone.
#[derive(Clone)]
pub(crate) struct SharingKey(Arc<dyn AnyKey>);

impl SharingKey {
    pub(crate) fn of(key: impl Eq + Hash + Send + Sync + 'static) -> Self {
        Self(Arc::new(key))
    }
}

impl fmt::Debug for SharingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharingKey")
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

/// How many entries stay after their last handle, and how long.
const LINGERING: usize = 64;
const LINGER: Duration = Duration::from_secs(5 * 60);

/// What is alive in this process, by what it would ask for. An entry lives as
/// long as a handle holds it, and for 5 minutes after it was last
/// [left](Self::leave), so that a program that makes credentials for each call
/// fetches once. Nothing runs to remove it: the next use does.
#[derive(Debug)]
pub(crate) struct Registry<K, T>(Mutex<Entries<K, T>>);

#[derive(Debug)]
struct Entries<K, T> {
    alive: Option<HashMap<K, Weak<T>>>,
    /// What was left, the last one last: few, whatever is alive.
    left: Vec<Left<K, T>>,
}

/// An entry that was left, and until when it stays, by this clock.
#[derive(Debug)]
struct Left<K, T> {
    key: K,
    entry: Arc<T>,
    until: Duration,
    clock: AnyClock,
}

impl<K: Eq + Hash + Clone, T> Registry<K, T> {
    pub(crate) const fn new() -> Self {
        Self(Mutex::new(Entries {
            alive: None,
            left: Vec::new(),
        }))
    }

    /// Returns what lives under `key`, else what `make` makes.
    pub(crate) fn get_or_insert(&self, key: K, make: impl FnOnce() -> T) -> Arc<T> {
        self.remove_old();
        let mut entries = lock(&self.0);
        let alive = entries.alive.get_or_insert_default();
        if let Some(found) = alive.get(&key).and_then(Weak::upgrade) {
            return found;
        }
        if alive.len() >= 32 && alive.len().is_power_of_two() {
            alive.retain(|_, value| value.strong_count() > 0);
        }
        let made = Arc::new(make());
        alive.insert(key, Arc::downgrade(&made));
        made
    }

    /// Has `entry`, which lives under `key`, stay for a while, as one of its
    /// handles is dropped.
    pub(crate) fn leave(&self, key: &K, entry: &Arc<T>, clock: &AnyClock) {
        self.remove_old();
        let left = Left {
            key: key.clone(),
            entry: Arc::clone(entry),
            until: clock.now().boot.saturating_add(LINGER),
            clock: clock.clone(),
        };
        let mut entries = lock(&self.0);
        let same = |left: &Left<K, T>| Arc::ptr_eq(&left.entry, entry);
        let position = entries.left.iter().position(same);
        let before = position.map(|position| entries.left.remove(position));
        entries.left.push(left);
        let surplus = entries.left.len().saturating_sub(LINGERING);
        let gone: Vec<_> = entries.left.drain(..surplus).collect();
        drop(entries);
        drop(before);
        self.forget(gone);
    }

    /// Takes out what has stayed long enough. Clocks of the program are read
    /// while the lock is free.
    fn remove_old(&self) {
        let mut clocks: Vec<AnyClock> = Vec::new();
        let system = AnyClock::System.now().boot;
        let mut old = Vec::new();
        {
            let mut entries = lock(&self.0);
            take(&mut entries.left, &mut old, |left| match &left.clock {
                AnyClock::System => system >= left.until,
                AnyClock::Other(_) => {
                    if !clocks.iter().any(|clock| clock.is(&left.clock)) {
                        clocks.push(left.clock.clone());
                    }
                    false
                }
            });
        }
        self.forget(old);
        for clock in clocks {
            let now = clock.now().boot;
            let mut old = Vec::new();
            take(&mut lock(&self.0).left, &mut old, |left| {
                left.clock.is(&clock) && now >= left.until
            });
            self.forget(old);
        }
    }

    /// Drops what was left, and forgets the keys of what lives no more: a key may
    /// hold secrets.
    fn forget(&self, gone: Vec<Left<K, T>>) {
        for Left { key, entry, .. } in gone {
            // Its end may be the program's code: the lock is free.
            drop(entry);
            let mut entries = lock(&self.0);
            let Some(alive) = &mut entries.alive else {
                return;
            };
            if alive.get(&key).is_some_and(|it| it.strong_count() == 0) {
                alive.remove(&key);
            }
        }
    }
}

/// Moves what `is_old` from `left` to `old`.
fn take<K, T>(
    left: &mut Vec<Left<K, T>>,
    old: &mut Vec<Left<K, T>>,
    mut is_old: impl FnMut(&Left<K, T>) -> bool,
) {
    let mut index = 0;
    while let Some(it) = left.get(index) {
        if is_old(it) {
            old.push(left.remove(index));
        } else {
            index += 1;
        }
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
    use crate::io::fake::HandClock;

    #[test]
    fn the_same_key_shares_while_a_handle_lives() {
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
        let held: Vec<_> = (0..40).map(|n| registry.get_or_insert(n, || n)).collect();
        for n in 40..10_000 {
            registry.get_or_insert(n, || n);
        }
        assert!(lock(&registry.0).alive.as_ref().unwrap().len() <= 64);
        assert!(Arc::ptr_eq(&held[0], &registry.get_or_insert(0, || 1)));
    }

    #[test]
    fn what_was_left_stays_for_five_minutes() {
        let clock = Arc::new(HandClock::at(1));
        let any = AnyClock::of(Arc::clone(&clock) as _);
        let registry = Registry::new();
        registry.leave(&"k", &registry.get_or_insert("k", || 1), &any);
        clock.advance(LINGER - Duration::from_secs(1));
        let again = registry.get_or_insert("k", || 2);
        assert_eq!(*again, 1);
        // It was left again, and stays again.
        registry.leave(&"k", &again, &any);
        drop(again);
        clock.advance(LINGER - Duration::from_secs(1));
        assert_eq!(*registry.get_or_insert("k", || 3), 1);
        clock.advance(Duration::from_secs(1));
        registry.get_or_insert("other", || 4);
        assert!(lock(&registry.0).left.is_empty(), "the next use removes it");
        let keys = lock(&registry.0).alive.as_ref().map(HashMap::len);
        assert_eq!(keys, Some(1), "and forgets its key");
        assert_eq!(*registry.get_or_insert("k", || 5), 5);
    }

    #[test]
    fn what_was_left_stays_by_the_machine_s_clock_too() {
        let registry = Registry::new();
        registry.leave(&"k", &registry.get_or_insert("k", || 1), &AnyClock::System);
        assert_eq!(*registry.get_or_insert("k", || 2), 1);
    }

    #[test]
    fn at_most_64_stay() {
        let any = AnyClock::of(Arc::new(HandClock::at(1)));
        let registry = Registry::new();
        for n in 0..=64 {
            registry.leave(&n, &registry.get_or_insert(n, || n), &any);
        }
        assert_eq!(lock(&registry.0).left.len(), 64);
        let keys = lock(&registry.0).alive.as_ref().map(HashMap::len);
        assert_eq!(keys, Some(64), "its key is forgotten");
        assert_eq!(
            *registry.get_or_insert(0, || 100),
            100,
            "the first one went"
        );
        assert_eq!(*registry.get_or_insert(1, || 100), 1);
    }

    #[test]
    fn what_was_left_and_is_held_stays_findable() {
        let clock = Arc::new(HandClock::at(1));
        let any = AnyClock::of(Arc::clone(&clock) as _);
        let registry = Registry::new();
        let held = registry.get_or_insert("k", || 1);
        registry.leave(&"k", &held, &any);
        clock.advance(LINGER);
        assert!(Arc::ptr_eq(&held, &registry.get_or_insert("k", || 2)));
        assert!(lock(&registry.0).left.is_empty());
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
