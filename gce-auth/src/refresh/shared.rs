//! What all credentials share that would send the same request: the value, and
//! apart from each other, by their settings, how refreshes went.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use crate::{
    refresh::{
        past::{Past, TaskId},
        policy::Policy,
        reason::Reason,
        shared_map::SharingKey,
        slot::Slot,
        value::Value,
    },
    task::{
        shared_task::SharedTask,
        sync::{AtomicU64, Mutex, lock},
    },
    values::{error::Error, token::Now},
};

/// From this number of groups on, a value forgets those that no handle has.
const GROUPS: usize = 8;

/// A value, and what happened to it.
pub(crate) struct Shared<V> {
    /// Where others find it.
    pub(crate) key: Option<SharingKey>,
    pub(crate) slot: Slot<V>,
    pub(crate) policy: &'static Policy,
    pub(crate) past: Mutex<Past<V>>,
    groups: Mutex<Vec<(SharingKey, Arc<Group<V>>)>>,
}

impl<V: Value> Shared<V> {
    pub(crate) fn new(policy: &'static Policy) -> Self {
        Self {
            key: None,
            slot: Slot::new(),
            policy,
            past: Mutex::new(Past::new()),
            groups: Mutex::new(Vec::new()),
        }
    }

    /// Returns a value that others find under `key`.
    pub(crate) fn under(key: SharingKey, policy: &'static Policy) -> Self {
        Self {
            key: Some(key),
            ..Self::new(policy)
        }
    }

    /// Returns the group of all who have these settings.
    pub(crate) fn group(&self, settings: SharingKey) -> Arc<Group<V>> {
        let mut groups = lock(&self.groups);
        if let Some((_, group)) = groups.iter().find(|(other, _)| *other == settings) {
            return Arc::clone(group);
        }
        let mut surplus = (groups.len() + 1).saturating_sub(GROUPS);
        groups.retain(|(_, group)| {
            let goes = surplus > 0 && Arc::strong_count(group) == 1;
            surplus -= usize::from(goes);
            !goes
        });
        let group = Arc::new(Group::new());
        groups.push((settings, Arc::clone(&group)));
        group
    }

    /// Whether there is anything to keep: a refresh has begun.
    pub(crate) fn was_used(&self) -> bool {
        lock(&self.past).has_begun()
    }

    /// Has every group try again at once.
    pub(crate) fn renew_at_once(&self) {
        let groups: Vec<_> = lock(&self.groups)
            .iter()
            .map(|it| Arc::clone(&it.1))
            .collect();
        for group in groups {
            group.renew_at_once();
        }
    }
}

/// How refreshes went for all who have the same settings: limits, retry policy
/// and executor.
pub(crate) struct Group<V> {
    pub(crate) control: Mutex<Control<V>>,
    /// Boot milliseconds before which no background refresh starts: also the
    /// end of the one that is out, so that a stale value costs no lock.
    next_renewal: AtomicU64,
}

pub(crate) struct Control<V> {
    pub(crate) current: Option<Current<V>>,
    pub(crate) failures: u32,
    /// Whether a renewal is among them.
    pub(crate) renewal_failed: bool,
    /// Waits between attempts since the last success.
    pub(crate) waits: u32,
    pub(crate) quiet_until: Duration,
    pub(crate) next_renewal: Duration,
    pub(crate) last_success: Option<Now>,
    pub(crate) last_failure: Option<(Now, Error)>,
}

impl<V> Control<V> {
    /// Counts a failure of what was begun for `reason`; background renewals wait.
    pub(crate) fn failed(&mut self, reason: Reason, now: Now, error: Error, policy: &Policy) {
        self.failures = self.failures.saturating_add(1);
        self.renewal_failed |= reason.is_renewal();
        self.last_failure = Some((now, error));
        let backoff = policy.backoff(self.failures);
        self.next_renewal = now.boot.saturating_add(backoff);
    }
}

/// The refresh that is out.
pub(crate) struct Current<V> {
    pub(crate) id: TaskId,
    pub(crate) task: Arc<SharedTask<V>>,
    pub(crate) reason: Reason,
}

impl<V: Value> Group<V> {
    pub(crate) fn new() -> Self {
        Self {
            control: Mutex::new(Control {
                current: None,
                failures: 0,
                renewal_failed: false,
                waits: 0,
                quiet_until: Duration::ZERO,
                next_renewal: Duration::ZERO,
                last_success: None,
                last_failure: None,
            }),
            next_renewal: AtomicU64::new(0),
        }
    }

    /// Whether a background refresh may be due: cheap, and right but for races.
    pub(crate) fn renewal_may_be_due(&self, now: Now) -> bool {
        millis(now.boot) >= self.next_renewal.load(Ordering::Relaxed)
    }

    /// Has [`renewal_may_be_due`](Self::renewal_may_be_due) answer no until
    /// `until`.
    pub(crate) fn no_renewal_before(&self, until: Duration) {
        self.next_renewal.store(millis(until), Ordering::Relaxed);
    }

    pub(crate) fn renew_at_once(&self) {
        let mut control = lock(&self.control);
        control.next_renewal = Duration::ZERO;
        control.quiet_until = Duration::ZERO;
        self.no_renewal_before(Duration::ZERO);
    }
}

/// Rounded down, so that the cheap answer is never later than the exact one.
fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(all(test, not(gce_auth_loom)))]
mod tests {
    use super::*;
    use crate::values::token::Bearer;

    #[test]
    fn settings_in_use_have_one_group_however_many_there_are() {
        let shared = Shared::<Bearer>::new(Policy::chosen(false));
        let group = |n: usize| shared.group(SharingKey::of(n));
        let held: Vec<_> = (0..GROUPS * 3).map(group).collect();
        for (n, first) in held.iter().enumerate() {
            assert!(Arc::ptr_eq(first, &group(n)), "{n}");
        }
        drop(held);
        group(100);
        assert_eq!(lock(&shared.groups).len(), GROUPS);
    }
}
