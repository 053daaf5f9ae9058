//! One value and everything that is known about getting it: the flight that
//! is under way, the last success, the last failure, when to try again.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use crate::{
    refresh::{
        policy::{Freshness, Policy},
        slot::{Entry, Slot},
    },
    task::{
        shared_task::{SharedTask, late},
        sync::{AtomicU64, Mutex, lock},
    },
    values::{
        error::Error,
        token::{Now, Validity},
    },
};

/// Beyond its budget a flight has this long to notice that it is over.
const GRACE: Duration = Duration::from_secs(5);

/// What can be kept.
pub(crate) trait Value: Clone + Send + Sync + 'static {
    fn validity(&self) -> Validity;
    /// Whether `other` is the same token, however long it is said to live.
    fn is_same(&self, other: &Self) -> bool;
}

/// Which flight of a keeper it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TaskId(u64);

/// Why somebody wants a flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// There was no value that is at least this good to go on with.
    Need(Freshness),
    /// The value is stale: fetch the next one if nobody does.
    Renew,
    /// Fetch the next one if nobody does, and all that a forced fetch asks for.
    RenewFully,
    /// Somebody asked for a value that is newer than this moment.
    Force,
}

/// What to do about it.
#[derive(Debug)]
pub(crate) enum Decision<V> {
    /// Wait for this flight; somebody sees to it.
    Join(Arc<SharedTask<V>>),
    /// See to it that this flight runs.
    Lead(Arc<SharedTask<V>>),
    /// It has just failed: this is how.
    Failed(Error),
    /// Here is what you need: it came while you were about to ask.
    Have(V),
    /// Nothing is due.
    Nothing,
}

/// A value, shared by all who would ask for the same.
#[derive(Debug)]
pub(crate) struct Keeper<V> {
    pub(crate) cell: Slot<V>,
    policy: &'static Policy,
    control: Mutex<Control<V>>,
    /// Boot milliseconds before which no background flight starts: a copy of
    /// the one under the lock, so that a stale value costs no lock.
    next_renewal: AtomicU64,
}

#[derive(Debug)]
struct Control<V> {
    flight: Option<Current<V>>,
    flights: u64,
    failures: u32,
    waits: u32,
    quiet_until: Duration,
    next_renewal: Duration,
    last_success: Option<Now>,
    last_failure: Option<(Now, Error)>,
    /// What was rejected last, and when, by the boot clock; until there is
    /// another one.
    rejected: Option<(V, Duration)>,
}

#[derive(Debug)]
struct Current<V> {
    id: TaskId,
    flight: Arc<SharedTask<V>>,
    forced: bool,
    budget: Duration,
}

/// A flight that a newer one takes the place of.
enum Replaced<V> {
    /// It is older than it may be, or another process's.
    Dead(Arc<SharedTask<V>>),
    /// It goes on, for those who wait for it.
    Overtaken(#[expect(dead_code, reason = "held until the lock is free")] Arc<SharedTask<V>>),
}

/// What is known without asking anybody.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    pub(crate) last_success: Option<Now>,
    pub(crate) last_failure: Option<(Now, Error)>,
    pub(crate) failures: u32,
    pub(crate) next_renewal: Option<Duration>,
    pub(crate) in_flight: bool,
}

impl<V: Value> Keeper<V> {
    pub(crate) fn new(policy: &'static Policy) -> Self {
        Self {
            cell: Slot::new(),
            policy,
            control: Mutex::new(Control {
                flight: None,
                flights: 0,
                failures: 0,
                waits: 0,
                quiet_until: Duration::ZERO,
                next_renewal: Duration::ZERO,
                last_success: None,
                last_failure: None,
                rejected: None,
            }),
            next_renewal: AtomicU64::new(0),
        }
    }

    /// Whether a background flight may be due: cheap, and right but for races.
    pub(crate) fn renewal_may_be_due(&self, now: Now) -> bool {
        millis(now.boot) >= self.next_renewal.load(Ordering::Relaxed)
    }

    /// What is held, if it is good for anything now.
    pub(crate) fn read(&self, now: Now) -> Option<(Entry<V>, Freshness)> {
        let entry = self.cell.read()?;
        match entry.deadlines.judge(now.into()) {
            Freshness::Invalid => None,
            freshness => Some((entry, freshness)),
        }
    }

    /// Decides, at one point for everybody, who flies and who waits.
    ///
    /// `make` makes the flight, told how many waits between attempts were in
    /// vain since the last success; its job must call [`settle`](Self::settle)
    /// with the id and the outcome before it lands, also when it is dropped.
    pub(crate) fn plan(
        &self,
        why: Reason,
        now: Now,
        process: u32,
        budget: Duration,
        make: impl FnOnce(TaskId, u32) -> SharedTask<V>,
    ) -> Decision<V> {
        let mut gone = None;
        let plan = self.decide(why, now, process, budget, make, &mut gone);
        match gone {
            // Whoever still waits for it waits for nothing. In a forked child
            // nobody does: those threads are the parent's.
            Some(Replaced::Dead(flight)) if flight.process == process => flight.land(Err(late())),
            // Where nobody holds it, its job settles as it is dropped.
            gone => drop(gone),
        }
        plan
    }

    /// [`plan`](Self::plan), all that happens under the lock. No flight is
    /// dropped there, as its job may settle.
    fn decide(
        &self,
        why: Reason,
        now: Now,
        process: u32,
        budget: Duration,
        make: impl FnOnce(TaskId, u32) -> SharedTask<V>,
        gone: &mut Option<Replaced<V>>,
    ) -> Decision<V> {
        let mut control = lock(&self.control);
        if let Some(current) = &control.flight {
            let age = now.boot.saturating_sub(current.flight.started.boot);
            // What waits in a queue until its budget is spent would only fail.
            let grace = if current.flight.has_begun() {
                GRACE
            } else {
                Duration::ZERO
            };
            let most = current.budget.saturating_add(grace);
            let alive = current.flight.process == process && age <= most;
            if !alive {
                *gone = control.flight.take().map(|it| Replaced::Dead(it.flight));
            } else if matches!(why, Reason::Renew | Reason::RenewFully) {
                return Decision::Nothing;
            } else if why != Reason::Force || current.forced {
                return Decision::Join(Arc::clone(&current.flight));
            }
        }
        // Whoever looked before a flight settled and asks after it would fly
        // again: look once more, where no flight can settle in between.
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
            Reason::RenewFully | Reason::Force => {}
        }
        control.flights += 1;
        let id = TaskId(control.flights);
        let flight = Arc::new(make(id, control.waits));
        let overtaken = control.flight.replace(Current {
            id,
            flight: Arc::clone(&flight),
            forced: matches!(why, Reason::Force | Reason::RenewFully),
            budget,
        });
        if let Some(overtaken) = overtaken {
            *gone = Some(Replaced::Overtaken(overtaken.flight));
        }
        Decision::Lead(flight)
    }

    /// Takes note of how a flight ended. `sample` places the jitter.
    pub(crate) fn settle(&self, id: TaskId, now: Now, outcome: &Result<V, Error>, sample: f64) {
        let mut control = lock(&self.control);
        let current = control
            .flight
            .as_ref()
            .is_some_and(|current| current.id == id);
        if current {
            control.flight = None;
        } else if outcome.is_err() || self.read(now).is_some() {
            // Overtaken by a newer flight, which has the say.
            return;
        }
        match outcome {
            Ok(value) => {
                let deadlines = self.policy.deadlines(&value.validity(), sample);
                let gentle = deadlines.judge(now.into()) != Freshness::Fresh
                    || self
                        .cell
                        .read()
                        .is_some_and(|entry| entry.value.is_same(value));
                self.cell.store(value.clone(), deadlines);
                control.failures = 0;
                control.waits = 0;
                control.quiet_until = Duration::ZERO;
                control.last_success = Some(now);
                control.rejected.take_if(|(last, _)| !last.is_same(value));
                control.next_renewal = if gentle {
                    now.boot.saturating_add(self.policy.gentle)
                } else {
                    Duration::ZERO
                };
            }
            Err(error) => {
                control.failures = control.failures.saturating_add(1);
                let waits = error.attempts().saturating_sub(1);
                control.waits = control.waits.saturating_add(waits);
                control.last_failure = Some((now, error.clone()));
                control.quiet_until = now.boot.saturating_add(self.policy.quiet);
                let backoff = self.policy.backoff(control.failures);
                control.next_renewal = now.boot.saturating_add(backoff);
            }
        }
        self.next_renewal
            .store(millis(control.next_renewal), Ordering::Relaxed);
    }

    /// Drops the value if it is what `rejected` says; whether another one may
    /// come of it.
    ///
    /// One that has come again after it was rejected may well be good, and is
    /// what others live on: it stays, and is asked for anew in the background,
    /// as gently as a stale one that comes again. A server that rejects
    /// whatever it is sent must not cost a fetch for each answer.
    pub(crate) fn invalidate(&self, now: Now, rejected: impl FnOnce(&V) -> bool) -> bool {
        let mut control = lock(&self.control);
        let gentle = self.policy.gentle;
        let last = control.rejected.as_ref();
        let value = self.cell.change(|entry| {
            let held = entry.as_mut().filter(|held| rejected(&held.value))?;
            let value = held.value.clone();
            match last.filter(|(last, _)| last.is_same(&value)) {
                Some((_, at)) if now.boot < at.saturating_add(gentle) => return None,
                Some(_) => held.deadlines = held.deadlines.stale_from(now.into()),
                None => *entry = None,
            }
            Some(value)
        });
        let Some(value) = value else {
            return false;
        };
        control.rejected = (!gentle.is_zero()).then_some((value, now.boot));
        self.renew_at_once(&mut control);
        true
    }

    /// Drops whatever is held.
    #[cfg(any(test, feature = "test-util"))]
    pub(crate) fn clear(&self) {
        let mut control = lock(&self.control);
        control.rejected = None;
        if self.cell.change(Option::take).is_some() {
            self.renew_at_once(&mut control);
        }
    }

    fn renew_at_once(&self, control: &mut Control<V>) {
        control.next_renewal = Duration::ZERO;
        control.quiet_until = Duration::ZERO;
        self.next_renewal.store(0, Ordering::Relaxed);
    }

    pub(crate) fn known(&self) -> Known {
        let control = lock(&self.control);
        Known {
            last_success: control.last_success,
            last_failure: control.last_failure.clone(),
            failures: control.failures,
            next_renewal: (control.next_renewal > Duration::ZERO).then_some(control.next_renewal),
            in_flight: control.flight.is_some(),
        }
    }
}

/// Rounded down, so that the cheap answer is never later than the exact one.
fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(all(test, gce_auth_loom))]
mod model;
