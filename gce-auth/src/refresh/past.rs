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
