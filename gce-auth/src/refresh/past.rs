//! What happened to a value before: which refreshes are out, and what was
//! rejected meanwhile.

use std::time::Duration;

use crate::refresh::value::Value;

/// A refresh, in the order in which the refreshes of a value began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TaskId(pub(crate) u64);

/// What every handle of a value shares besides the value.
#[derive(Debug)]
pub(crate) struct Past<V> {
    begun: TaskId,
    /// Refreshes that have begun and not ended.
    out: Vec<TaskId>,
    /// The newest refresh whose value was held.
    newest: TaskId,
    /// The last refresh that a program asked for and that succeeded: nothing
    /// that was requested before it takes the place of its value.
    forced: TaskId,
    /// The last refresh that began before the last rejection.
    rejection: TaskId,
    /// What refreshes up to this one must not bring back.
    barred: Vec<(TaskId, V)>,
    /// What was rejected last, and when, by the boot clock; until there is
    /// another value.
    rejected: Option<(V, Duration)>,
}

impl<V: Value> Past<V> {
    pub(crate) fn new() -> Self {
        Self {
            begun: TaskId(0),
            out: Vec::new(),
            newest: TaskId(0),
            forced: TaskId(0),
            rejection: TaskId(0),
            barred: Vec::new(),
            rejected: None,
        }
    }

    pub(crate) fn begin(&mut self) -> TaskId {
        self.begun = TaskId(self.begun.0 + 1);
        self.out.push(self.begun);
        self.begun
    }

    /// Whether a refresh ever began.
    pub(crate) fn has_begun(&self) -> bool {
        self.begun > TaskId(0)
    }

    /// Takes note that a refresh has ended.
    pub(crate) fn end(&mut self, id: TaskId) {
        self.out.retain(|out| *out != id);
        let out = &self.out;
        self.barred
            .retain(|(last, _)| out.iter().any(|id| id <= last));
    }

    /// Whether this refresh began before the last rejection.
    pub(crate) fn is_before_rejection(&self, id: TaskId) -> bool {
        id <= self.rejection
    }

    /// Whether the value of this refresh is unusable: it was rejected
    /// meanwhile, or requested before a refresh that the program asked for.
    pub(crate) fn bars(&self, id: TaskId, value: &V) -> bool {
        let rejected = |(last, barred): &(TaskId, V)| id <= *last && barred.is_same(value);
        self.is_before_refresh(id) || self.barred.iter().any(rejected)
    }

    /// Whether this refresh began before one that the program asked for and
    /// that succeeded.
    pub(crate) fn is_before_refresh(&self, id: TaskId) -> bool {
        id < self.forced
    }

    /// Whether a value of a refresh that began after this one was held.
    pub(crate) fn is_overtaken(&self, id: TaskId) -> bool {
        id < self.newest
    }

    /// Takes note of a value that a refresh brought and that is now held.
    pub(crate) fn stored(&mut self, id: TaskId, value: &V, forced: bool) {
        self.newest = self.newest.max(id);
        if forced {
            self.forced = self.forced.max(id);
        }
        self.rejected.take_if(|(last, _)| !last.is_same(value));
    }

    /// When this value was rejected, if it was the last one that was.
    pub(crate) fn rejected_at(&self, value: &V) -> Option<Duration> {
        let (last, at) = self.rejected.as_ref()?;
        last.is_same(value).then_some(*at)
    }

    /// Takes note of a rejection; `dropped`: the value is held no more.
    pub(crate) fn reject(&mut self, value: V, at: Duration, dropped: bool) {
        if dropped && !self.out.is_empty() {
            self.barred.push((self.begun, value.clone()));
        }
        if dropped {
            self.rejection = self.begun;
        }
        self.rejected = Some((value, at));
    }

    /// Forgets what was rejected.
    #[cfg(any(test, feature = "test-util"))]
    pub(crate) fn forget_rejections(&mut self) {
        self.rejected = None;
    }
}

#[cfg(all(test, not(gce_auth_loom)))]
mod tests {
    use super::*;
    use crate::values::token::{Now, Validity};

    #[derive(Clone, Debug, PartialEq)]
    struct Named(&'static str);

    impl Value for Named {
        fn validity(&self) -> Validity {
            Validity::lasting(Now::new(Duration::ZERO, Duration::ZERO), Duration::ZERO)
        }

        fn is_same(&self, other: &Self) -> bool {
            self == other
        }
    }

    #[test]
    fn what_was_rejected_is_barred_from_refreshes_of_before_alone() {
        let mut past = Past::new();
        let (first, second) = (past.begin(), past.begin());
        past.reject(Named("a"), Duration::ZERO, true);
        let third = past.begin();
        for before in [first, second] {
            assert!(past.bars(before, &Named("a")), "{before:?}");
            assert!(!past.bars(before, &Named("b")), "{before:?}");
        }
        assert!(!past.bars(third, &Named("a")), "it came again");
    }

    #[test]
    fn it_is_barred_until_the_last_refresh_of_before_has_ended() {
        let mut past = Past::new();
        let (first, second) = (past.begin(), past.begin());
        past.reject(Named("a"), Duration::ZERO, true);
        let third = past.begin();
        past.end(second);
        assert!(past.bars(first, &Named("a")));
        past.end(first);
        assert!(past.barred.is_empty(), "it is kept no longer than needed");
        assert_eq!(past.out, [third]);
    }

    #[test]
    fn a_refresh_is_overtaken_by_newer_ones_alone() {
        let mut past = Past::new();
        let (first, second, third) = (past.begin(), past.begin(), past.begin());
        past.stored(second, &Named("b"), false);
        assert!(past.is_overtaken(first));
        assert!(!past.is_overtaken(second) && !past.is_overtaken(third));
    }
}
