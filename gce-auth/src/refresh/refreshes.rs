//! Decides who refreshes and who waits, at one point for all who have equal
//! settings.

use std::{sync::Arc, time::Duration};

use crate::{
    refresh::{
        past::TaskId,
        policy::{Freshness, Policy},
        reason::Reason,
        shared::{Control, Current, Group, Shared},
        shared_map::SharingKey,
        slot::Entry,
        value::Value,
    },
    task::{ended::late, shared_task::SharedTask, sync::lock},
    values::{error::Error, token::Now},
};

/// Beyond its budget a refresh has this long to notice that it is over.
const GRACE: Duration = Duration::from_secs(5);

/// What to do about it.
pub(crate) enum Decision<V> {
    /// Wait for this refresh, which is out.
    Join(Arc<SharedTask<V>>, TaskId),
    /// Have this refresh done.
    Lead(Arc<SharedTask<V>>, TaskId),
    /// It has just failed, with this error.
    Failed(Error),
    /// Go on with this value, which came meanwhile.
    Have(V),
    /// Nothing is due.
    Nothing,
}

/// A refresh that a newer one takes the place of.
enum Replaced<V> {
    /// It is older than it may be, or another process's.
    Dead(Arc<SharedTask<V>>),
    /// It goes on, for those who wait for it.
    Overtaken(#[expect(dead_code, reason = "held until the lock is free")] Arc<SharedTask<V>>),
}

/// What is known without I/O.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known {
    pub(crate) last_success: Option<Now>,
    pub(crate) last_failure: Option<(Now, Error)>,
    pub(crate) failures: u32,
    pub(crate) renewal_failed: bool,
    pub(crate) next_renewal: Option<Duration>,
    pub(crate) in_flight: bool,
}

/// The refreshes of one value by all who have equal settings.
pub(crate) struct Refreshes<V> {
    pub(crate) shared: Arc<Shared<V>>,
    group: Arc<Group<V>>,
}

impl<V: Value> Refreshes<V> {
    /// Of a value that no other cache has.
    pub(crate) fn alone(policy: &'static Policy) -> Self {
        Self {
            shared: Arc::new(Shared::new(policy)),
            group: Arc::new(Group::new()),
        }
    }

    /// Of a shared value, by all who have these settings.
    pub(crate) fn of(shared: Arc<Shared<V>>, settings: SharingKey) -> Self {
        let group = shared.group(settings);
        Self { shared, group }
    }

    pub(crate) fn renewal_may_be_due(&self, now: Now) -> bool {
        self.group.renewal_may_be_due(now)
    }

    /// Returns what is held, if it is valid now.
    pub(crate) fn read(&self, now: Now) -> Option<(Entry<V>, Freshness)> {
        let entry = self.shared.slot.read()?;
        match entry.deadlines.judge(now.into()) {
            Freshness::Invalid => None,
            freshness => Some((entry, freshness)),
        }
    }

    /// Decides who refreshes and who waits.
    ///
    /// `make` makes the task from the number of failed waits
    /// since the last success; its job must call [`settle`](Self::settle) with
    /// the id and the outcome before it ends, also when it is dropped.
    pub(crate) fn plan(
        &self,
        why: Reason,
        now: Now,
        process: u32,
        make: impl FnOnce(TaskId, u32) -> SharedTask<V>,
    ) -> Decision<V> {
        let mut replaced = None;
        let decision = self.decide(why, now, process, make, &mut replaced);
        match replaced {
            // Its waiters would wait for nothing. In a forked child there are
            // none: those threads are the parent's.
            Some(Replaced::Dead(task)) if task.process == process => task.land(Err(late())),
            // If no caller holds it, its job settles as it is dropped.
            replaced => drop(replaced),
        }
        decision
    }

    /// [`plan`](Self::plan), all that happens under the lock. No task is
    /// dropped there, as its job may settle.
    fn decide(
        &self,
        why: Reason,
        now: Now,
        process: u32,
        make: impl FnOnce(TaskId, u32) -> SharedTask<V>,
        replaced: &mut Option<Replaced<V>>,
    ) -> Decision<V> {
        let mut control = lock(&self.group.control);
        if let Some(current) = &control.current {
            let task = &current.task;
            // What waits in a queue until its budget is spent would only fail.
            let (since, grace) = if task.has_begun() {
                (task.since(), GRACE)
            } else {
                (task.started, Duration::ZERO)
            };
            let age = now.boot.saturating_sub(since.boot);
            let most = task.budget().saturating_add(grace);
            let alive = task.process == process && age <= most;
            if !alive {
                *replaced = control.current.take().map(|it| Replaced::Dead(it.task));
            } else if why.is_renewal() {
                return Decision::Nothing;
            } else if (why != Reason::Force || current.reason.is_full())
                && !lock(&self.shared.past).is_before_rejection(current.id)
            {
                current.task.restart_budget(now);
                return Decision::Join(Arc::clone(&current.task), current.id);
            }
        }
        // A caller that looked before a refresh settled and asks after it would
        // refresh again: look once more, where none can settle in between.
        match why {
            Reason::Need(least) => {
                if let Some((entry, freshness)) = self.read(now) {
                    if freshness >= least {
                        return Decision::Have(entry.value);
                    }
                }
                if now.boot < control.quiet_until {
                    if let Some((_, error)) = &control.last_failure {
                        return Decision::Failed(error.clone());
                    }
                }
            }
            Reason::Renew => {
                let held = self.read(now);
                let fresh = held.is_some_and(|(_, freshness)| freshness == Freshness::Fresh);
                if fresh || now.boot < control.next_renewal {
                    return Decision::Nothing;
                }
            }
            Reason::RenewFully if now.boot < control.next_renewal => return Decision::Nothing,
            #[cfg(feature = "verify")]
            Reason::Next => {}
            Reason::RenewFully | Reason::Force => {}
        }
        let id = lock(&self.shared.past).begin();
        let task = Arc::new(make(id, control.waits));
        let overtaken = control.current.replace(Current {
            id,
            task: Arc::clone(&task),
            reason: why,
        });
        if let Some(overtaken) = overtaken {
            *replaced = Some(Replaced::Overtaken(overtaken.task));
        }
        // In Background mode a stale value asks no more while this is out.
        let most = task.budget().saturating_add(GRACE);
        self.group
            .no_renewal_before(now.boot.saturating_add(most).max(control.next_renewal));
        Decision::Lead(task, id)
    }

    /// Takes note of how a refresh ended. `sample` places the jitter.
    pub(crate) fn settle(&self, id: TaskId, now: Now, outcome: &Result<V, Error>, sample: f64) {
        let mut control = lock(&self.group.control);
        let current = control.current.take_if(|current| current.id == id);
        let mut past = lock(&self.shared.past);
        match outcome {
            Ok(value) if past.bars(id, value) => {}
            Ok(value) => {
                let deadlines = value.deadlines(self.shared.policy, sample);
                let forced = current.as_ref().is_some_and(|it| it.reason.is_full());
                let held = self.shared.slot.read();
                let gentle = deadlines.judge(now.into()) != Freshness::Fresh
                    || held
                        .as_ref()
                        .is_some_and(|entry| entry.value.is_same(value));
                let keeps = held.is_some_and(|held| {
                    let stays = if V::outlives_renewals() {
                        held.deadlines.outlasts(deadlines, now)
                    } else {
                        past.is_overtaken(id)
                    };
                    stays && !forced && past.rejected_at(&held.value).is_none()
                });
                if !keeps {
                    self.shared.slot.store(value.clone(), deadlines);
                    past.stored(id, value, forced);
                }
                control.failures = 0;
                control.renewal_failed = false;
                control.waits = 0;
                control.quiet_until = Duration::ZERO;
                control.last_success = Some(now);
                control.next_renewal = if gentle || keeps {
                    now.boot.saturating_add(self.shared.policy.gentle)
                } else {
                    Duration::ZERO
                };
            }
            Err(error) => {
                // Where there is a newer refresh, that has the say.
                if let Some(current) = &current {
                    let waits = error.attempts().saturating_sub(1);
                    control.waits = control.waits.saturating_add(waits);
                    control.quiet_until = now.boot.saturating_add(self.shared.policy.quiet);
                    control.failed(current.reason, now, error.clone(), self.shared.policy);
                }
            }
        }
        past.end(id);
        drop(past);
        if control.current.is_none() {
            self.group.no_renewal_before(control.next_renewal);
        }
        drop(control);
        // Its job is running or dropped, and it holds nothing that settles.
        drop(current);
    }

    /// Takes note of a refresh that no thread began. That says nothing about the
    /// server: the next caller, which may do the work itself, asks at once.
    /// Renewals in the background wait, as they need a thread.
    pub(crate) fn undone(&self, id: TaskId, now: Now, error: Error) {
        self.inconclusive(id, |control, reason| {
            if V::waits_for_threads() {
                control.failed(reason, now, error, self.shared.policy);
            }
        });
    }

    /// Takes note of a refresh that failed in less time than other callers have.
    /// That says nothing to them, and delays no renewal.
    pub(crate) fn hurried(&self, id: TaskId) {
        self.inconclusive(id, |_, _| ());
    }

    fn inconclusive(&self, id: TaskId, note: impl FnOnce(&mut Control<V>, Reason)) {
        let mut control = lock(&self.group.control);
        let current = control.current.take_if(|current| current.id == id);
        if let Some(current) = &current {
            note(&mut control, current.reason);
            self.group.no_renewal_before(control.next_renewal);
        }
        lock(&self.shared.past).end(id);
        drop(control);
        drop(current);
    }

    /// Whether the value of refresh `id` must not be handed out.
    pub(crate) fn is_obsolete(&self, id: TaskId, value: &V) -> bool {
        let past = lock(&self.shared.past);
        let held = || self.shared.slot.read();
        past.is_before_refresh(id)
            || past.is_before_rejection(id)
                && held().is_none_or(|entry| !entry.value.is_same(value))
    }

    /// Whether a value of a refresh that began after this one was held.
    pub(crate) fn is_overtaken(&self, id: TaskId) -> bool {
        lock(&self.shared.past).is_overtaken(id)
    }

    /// Drops the value if `rejected` says that it is the one; returns whether
    /// another one may follow.
    ///
    /// One that has come again after it was rejected may well be good, and other
    /// requests live on it: it stays, and is asked for anew in the background,
    /// as gently as a stale one that comes again. A server that rejects all that
    /// it is sent must not cost a fetch for each answer.
    pub(crate) fn invalidate(&self, now: Now, rejected: impl FnOnce(&V) -> bool) -> bool {
        let mut past = lock(&self.shared.past);
        let gentle = self.shared.policy.gentle;
        let mut dropped = false;
        let value = self.shared.slot.change(|entry| {
            let held = entry.as_mut().filter(|held| rejected(&held.value))?;
            let value = held.value.clone();
            match past.rejected_at(&value).filter(|_| !gentle.is_zero()) {
                Some(at) if now.boot < at.saturating_add(gentle) => return None,
                Some(_) => held.deadlines = held.deadlines.stale_from(now.into()),
                None => {
                    *entry = None;
                    dropped = true;
                }
            }
            Some(value)
        });
        let Some(value) = value else {
            return false;
        };
        past.reject(value, now.boot, dropped);
        drop(past);
        self.group.renew_at_once();
        self.shared.renew_at_once();
        true
    }

    /// Drops what is held.
    #[cfg(any(test, feature = "test-util"))]
    pub(crate) fn clear(&self) {
        lock(&self.shared.past).forget_rejections();
        if self.shared.slot.change(Option::take).is_some() {
            self.group.renew_at_once();
            self.shared.renew_at_once();
        }
    }

    /// Begins anew with `value`, after refreshes that went as `known` says.
    #[cfg(feature = "iam")]
    pub(crate) fn begin_with(&self, value: Option<V>, known: &Known) {
        match value {
            Some(value) => self.set(value),
            None => drop(self.shared.slot.change(Option::take)),
        }
        let mut control = lock(&self.group.control);
        control.failures = known.failures;
        control.next_renewal = known.next_renewal.unwrap_or_default();
        control.quiet_until = control.next_renewal;
        control.last_failure.clone_from(&known.last_failure);
        self.group.no_renewal_before(control.next_renewal);
    }

    /// Puts `value` in the place of what is held.
    #[cfg(any(test, feature = "test-util", feature = "iam"))]
    pub(crate) fn set(&self, value: V) {
        let deadlines = value.deadlines(self.shared.policy, 0.0);
        self.shared.slot.store(value, deadlines);
    }

    pub(crate) fn known(&self) -> Known {
        let control = lock(&self.group.control);
        Known {
            last_success: control.last_success,
            last_failure: control.last_failure.clone(),
            failures: control.failures,
            renewal_failed: control.renewal_failed,
            next_renewal: (control.next_renewal > Duration::ZERO).then_some(control.next_renewal),
            in_flight: control.current.is_some(),
        }
    }
}

impl<V> Clone for Refreshes<V> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            group: Arc::clone(&self.group),
        }
    }
}

#[cfg(all(test, gce_auth_loom))]
mod model;
