//! A thread's own copies: what the hot path reads, without a lock.
//!
//! A shared reference count is one cache line that all cores fight for, so
//! each thread that keeps asking has a copy with a count of its own.

use std::cell::{Cell, RefCell};

use crate::refresh::policy::Deadlines;

/// How many copies a thread holds at most.
const SLOTS: usize = 4;

/// What a thread may have a copy of.
pub(crate) trait PerThread: Clone + Sized + 'static {
    /// A copy that shares no reference count with this one.
    fn detached(&self) -> Self;

    /// Lends this thread's copies; `None` while the thread ends.
    fn with_slots<R>(f: impl FnOnce(&RefCell<Slots<Self>>) -> R) -> Option<R>;
}

/// One thread's copies.
pub(crate) struct Slots<T> {
    copies: [Option<LocalEntry<T>>; SLOTS],
    /// The reader_id that missed each last: one that misses twice in a row moves in.
    missed: [Cell<u64>; SLOTS],
}

pub(crate) struct LocalEntry<T> {
    reader_id: u64,
    generation: u64,
    pub(crate) deadlines: Deadlines,
    pub(crate) value: T,
}

impl<T> Slots<T> {
    pub(crate) const fn new() -> Self {
        Self {
            copies: [const { None }; SLOTS],
            missed: [const { Cell::new(0) }; SLOTS],
        }
    }

    /// This thread's copy for `reader_id`, if it is of `generation`.
    #[inline]
    pub(crate) fn find(&self, reader_id: u64, generation: u64) -> Option<&LocalEntry<T>> {
        let held = self.copies[place(reader_id)].as_ref()?;
        (held.reader_id == reader_id && held.generation == generation).then_some(held)
    }

    /// Takes note that `reader_id` found no copy; whether it is to have one.
    #[inline]
    pub(crate) fn missed(&self, reader_id: u64) -> bool {
        self.missed[place(reader_id)].replace(reader_id) == reader_id
    }
}

impl<T: PerThread> Slots<T> {
    /// Copies `value`.
    pub(crate) fn keep(
        &mut self,
        reader_id: u64,
        generation: u64,
        deadlines: Deadlines,
        value: &T,
    ) {
        let place = place(reader_id);
        self.missed[place].set(0);
        self.copies[place] = Some(LocalEntry {
            reader_id,
            generation,
            deadlines,
            value: value.detached(),
        });
    }
}

fn place(reader_id: u64) -> usize {
    (reader_id % SLOTS as u64) as usize
}

#[cfg(all(test, not(gce_auth_loom)))]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        refresh::policy::Policy,
        values::token::{Now, Validity},
    };

    #[derive(Clone, Debug, PartialEq)]
    struct Text(String);

    impl PerThread for Text {
        fn detached(&self) -> Self {
            self.clone()
        }

        fn with_slots<R>(_: impl FnOnce(&RefCell<Slots<Self>>) -> R) -> Option<R> {
            None
        }
    }

    fn deadlines() -> Deadlines {
        let start = Now::new(Duration::ZERO, Duration::ZERO);
        Policy::new().deadlines(&Validity::lasting(start, Duration::from_secs(9)), 0.0)
    }

    #[test]
    fn who_misses_twice_in_a_row_moves_in() {
        let mut slots = Slots::new();
        let text = Text("a".to_owned());
        assert!(!slots.missed(1));
        // Another reader_id of the same slot comes between.
        assert!(!slots.missed(1 + SLOTS as u64));
        assert!(!slots.missed(1));
        assert!(slots.missed(1));
        assert!(slots.find(1, 7).is_none());
        slots.keep(1, 7, deadlines(), &text);
        assert_eq!(slots.find(1, 7).unwrap().value, text);
        assert!(!slots.missed(1), "it has just moved in");
        assert!(
            slots.find(1, 8).is_none(),
            "an older generation is no answer"
        );
        assert!(slots.find(1 + SLOTS as u64, 7).is_none());
    }

    #[test]
    fn neighbours_have_a_place_each() {
        let mut slots = Slots::new();
        for reader in 1..=SLOTS as u64 {
            slots.keep(reader, 7, deadlines(), &Text(reader.to_string()));
        }
        for reader in 1..=SLOTS as u64 {
            assert_eq!(slots.find(reader, 7).unwrap().value.0, reader.to_string());
        }
    }
}
