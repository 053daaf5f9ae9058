//! The hot path: what is done while a value is good.

use std::{
    borrow::Cow,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use crate::{
    io::clock::AnyClock,
    refresh::{
        policy::{Deadlines, Freshness},
        shared::Shared,
        source::RefreshMode,
        thread_local::PerThread,
        value::Value,
    },
};

/// What of a cache is read at each hit.
///
/// A handle that has one beside the pointer to its cache reads neither the cache
/// nor what is around it while the value is fresh: with thousands of handles,
/// none of them in the processor's cache, that is most of the time that a hit
/// takes.
pub(crate) struct Reader<V> {
    shared: Arc<Shared<V>>,
    reader_id: u64,
    /// Whether the clock is the machine's: the cache need not be asked which.
    system_clock: bool,
}

/// What a reader is in front of.
pub(crate) trait Behind {
    fn clock(&self) -> &AnyClock;

    /// Starts a renewal in the background, if one is due and none is out;
    /// returns how long it took if it was done here.
    fn renew(&self) -> Option<Duration>;
}

/// What was found without waiting.
enum Found<T> {
    /// To be handed out; a renewal may be due.
    Good(T, Freshness),
    /// There is nothing to hand out.
    Nothing,
}

impl<V: Value> Reader<V> {
    pub(super) fn new(shared: Arc<Shared<V>>, clock: &AnyClock) -> Self {
        Self {
            shared,
            reader_id: next_reader_id(),
            system_clock: matches!(clock, AnyClock::System),
        }
    }

    /// Lends what is held and good in `mode` to `lend`, as `show` shows it.
    /// Has `cache`, which this is the reader of, renew a stale value, and lends
    /// nothing if that took time, which it adds to `spent`. Else never waits.
    #[inline]
    pub(crate) fn cached<T: PerThread, R>(
        &self,
        cache: &impl Behind,
        mode: impl Fn() -> RefreshMode,
        show: impl FnOnce(&V) -> T,
        lend: impl FnOnce(Cow<'_, T>) -> R,
        spent: &mut Duration,
    ) -> Option<R> {
        // Before the clock, so that what is in no cache is on its way meanwhile.
        let generation = self.shared.slot.generation();
        let now = if self.system_clock {
            AnyClock::System.moment()
        } else {
            cache.clock().moment()
        };
        let judge = |deadlines: &Deadlines| match deadlines.judge(now) {
            Freshness::Stale => (mode() == RefreshMode::Background).then_some(Freshness::Stale),
            Freshness::Invalid => None,
            Freshness::Fresh => Some(Freshness::Fresh),
        };
        match self.find(generation, judge, show, lend) {
            Found::Good(lent, Freshness::Stale) => match cache.renew() {
                None => Some(lent),
                Some(took) => {
                    *spent = spent.saturating_add(took);
                    None
                }
            },
            Found::Good(lent, _) => Some(lent),
            Found::Nothing => None,
        }
    }

    /// Lends what is held, valid or not, to `lend`, as `show` shows it. Reads no
    /// clock, never waits, starts nothing.
    pub(crate) fn held<T: PerThread, R>(
        &self,
        show: impl FnOnce(&V) -> T,
        lend: impl FnOnce(Cow<'_, T>) -> R,
    ) -> Option<R> {
        let generation = self.shared.slot.generation();
        match self.find(generation, |_| Some(Freshness::Invalid), show, lend) {
            Found::Good(lent, _) => Some(lent),
            Found::Nothing => None,
        }
    }

    #[inline]
    fn find<T: PerThread, R>(
        &self,
        generation: u64,
        judge: impl Fn(&Deadlines) -> Option<Freshness>,
        show: impl FnOnce(&V) -> T,
        lend: impl FnOnce(Cow<'_, T>) -> R,
    ) -> Found<R> {
        let mut lend = Some(lend);
        let mut copy_it = false;
        let local = T::with_slots(|slots| {
            let slots = slots.try_borrow().ok()?;
            let Some(copy) = slots.find(self.reader_id, generation) else {
                copy_it = slots.missed(self.reader_id);
                return None;
            };
            let Some(freshness) = judge(&copy.deadlines) else {
                return Some(Found::Nothing);
            };
            let lend = lend.take()?;
            Some(Found::Good(lend(Cow::Borrowed(&copy.value)), freshness))
        });
        match (local, lend) {
            (Some(Some(found)), _) => found,
            (_, Some(lend)) => self.find_shared(judge, show, lend, copy_it),
            (_, None) => Found::Nothing,
        }
    }

    /// What a thread does that has no copy: the first and the second time that
    /// it asks, and with more credentials than a thread has room for.
    #[inline(never)]
    fn find_shared<T: PerThread, R>(
        &self,
        judge: impl Fn(&Deadlines) -> Option<Freshness>,
        show: impl FnOnce(&V) -> T,
        lend: impl FnOnce(Cow<'_, T>) -> R,
        copy_it: bool,
    ) -> Found<R> {
        let seen = self.shared.slot.look(|entry, generation| {
            let freshness = judge(&entry.deadlines)?;
            let copy = copy_it.then_some((generation, entry.deadlines));
            Some((show(&entry.value), freshness, copy))
        });
        // The lock is free again: what is lent to may ask anything.
        let Some((shown, freshness, copy)) = seen else {
            return Found::Nothing;
        };
        if let Some((generation, deadlines)) = copy {
            self.copy(generation, deadlines, &shown);
        }
        Found::Good(lend(Cow::Owned(shown)), freshness)
    }

    /// Gives this thread a copy of its own.
    #[cold]
    fn copy<T: PerThread>(&self, generation: u64, deadlines: Deadlines, shown: &T) {
        T::with_slots(|slots| {
            // Lent out further up this thread's stack: leave it as it is.
            if let Ok(mut slots) = slots.try_borrow_mut() {
                slots.keep(self.reader_id, generation, deadlines, shown);
            }
        });
    }
}

impl<V> Clone for Reader<V> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            reader_id: self.reader_id,
            system_clock: self.system_clock,
        }
    }
}

/// Returns a number that no other cache of this process has; never 0.
fn next_reader_id() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}
