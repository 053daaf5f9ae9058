//! Ends waits whose time is over, also for work that is never begun.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    task::Waker,
    time::Duration,
};

use crate::{
    io::{
        clock::{Clock, SystemClock},
        threads,
    },
    task::per_process::PerProcess,
    wire::retry::attempts::FROZEN,
};

/// A wait goes on in pieces of this length, so that a pause shows: a process
/// that was stopped, or a machine that was suspended.
pub(crate) const SLICE: Duration = Duration::from_millis(250);
/// A piece that took this much longer than it should was a pause. The same for callers as for the
/// attempts of their tasks: `SharedTask::outcome_from` counts on it.
pub(crate) const PAUSE: Duration = FROZEN;

static TIMER: PerProcess<Timer> = PerProcess::new();

/// Returns how much of a wait for `asked`, which took `took`, counts: pauses
/// do not.
pub(crate) fn counted(asked: Duration, took: Duration) -> Duration {
    if took > asked.saturating_add(PAUSE) {
        asked
    } else {
        took
    }
}

/// One wait that ends.
#[derive(Debug)]
pub(crate) struct Alarm(Arc<Bell>);

#[derive(Debug, Default)]
pub(crate) struct Bell {
    rung: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

impl Alarm {
    /// Returns an alarm that rings `limit` from now, pauses left out, or up to
    /// two slices later. Where no thread can be started it never rings.
    pub(crate) fn after(limit: Duration) -> Self {
        let bell = Arc::new(Bell::default());
        #[cfg(feature = "_simulation")]
        if let Some(baton) = crate::task::baton::held() {
            let waits = Arc::downgrade(&bell);
            let ring = move || waits.upgrade().into_iter().for_each(|bell| bell.ring());
            baton.alarm(limit, Box::new(ring));
            return Self(bell);
        }
        Timer::add(&TIMER.get(), limit, &bell);
        Self(bell)
    }

    /// Returns whether it has rung; else has `waker` woken when it does.
    pub(crate) fn has_rung(&self, waker: &Waker) -> bool {
        let replaced = lock(&self.0.waker).replace(waker.clone());
        drop(replaced);
        self.0.rung.load(Ordering::Acquire)
    }
}

impl Bell {
    pub(crate) fn ring(&self) {
        self.rung.store(true, Ordering::Release);
        let waker = lock(&self.waker).take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

#[derive(Default)]
struct Timer {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// How long this timer has run, pauses left out.
    awake: Duration,
    runs: bool,
    /// When each bell rings, by `awake`.
    bells: Vec<(Duration, Weak<Bell>)>,
}

impl Timer {
    fn add(timer: &Arc<Self>, limit: Duration, bell: &Arc<Bell>) {
        let mut state = lock(&timer.state);
        // The slice that is under way has not been counted yet.
        let ends = state.awake.saturating_add(limit).saturating_add(SLICE);
        state.bells.push((ends, Arc::downgrade(bell)));
        if state.runs {
            return;
        }
        state.runs = true;
        drop(state);
        let runs = threads::spawn("gce-auth-timer", Arc::clone(timer), |timer| timer.run());
        if runs.is_err() {
            lock(&timer.state).runs = false;
        }
    }

    /// Rings bells until there is none.
    fn run(&self) {
        let clock = SystemClock::new();
        let mut state = lock(&self.state);
        loop {
            let due = state.due();
            if !due.is_empty() {
                drop(state);
                for bell in due.iter().filter_map(Weak::upgrade) {
                    bell.ring();
                }
                state = lock(&self.state);
                continue;
            }
            let Some(next) = state.bells.iter().map(|(ends, _)| *ends).min() else {
                state.runs = false;
                return;
            };
            let wait = next.saturating_sub(state.awake).min(SLICE);
            let before = clock.now().boot;
            drop(state);
            clock.sleep(wait);
            state = lock(&self.state);
            let took = clock.now().boot.saturating_sub(before);
            // The clock ticks coarsely: a wait that counts for nothing would
            // turn in a circle.
            state.awake += counted(wait, took.max(wait));
        }
    }
}

impl State {
    /// Removes the bells that are to ring now, and those without a waiter.
    fn due(&mut self) -> Vec<Weak<Bell>> {
        let awake = self.awake;
        let mut due = Vec::new();
        self.bells.retain(|(ends, bell)| {
            let over = *ends <= awake;
            if over {
                due.push(Weak::clone(bell));
            }
            !over && bell.strong_count() > 0
        });
        due
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(all(test, not(gce_auth_loom)))]
mod tests {
    use super::*;

    #[test]
    fn bells_without_a_waiter_are_forgotten() {
        let mut state = State::default();
        let bell = Arc::new(Bell::default());
        let ends = Duration::from_secs(9);
        state.bells.push((ends, Arc::downgrade(&bell)));
        assert!(state.due().is_empty());
        assert_eq!(state.bells.len(), 1);
        drop(bell);
        assert!(state.due().is_empty() && state.bells.is_empty());
    }

    #[test]
    fn a_pause_costs_no_more_than_the_wait_itself() {
        let asked = Duration::from_millis(250);
        let longest = asked + PAUSE;
        assert_eq!(counted(asked, longest), longest);
        assert_eq!(counted(asked, longest + Duration::from_nanos(1)), asked);
    }
}
