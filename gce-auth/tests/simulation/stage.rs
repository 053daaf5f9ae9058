//! A process of which one thread runs at a time; the seed decides which.
//!
//! Time stands still while any thread can run. When all of them wait it goes on
//! to the next moment at which one of them is to wake.

use std::{
    io::Write,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::Duration,
};

use gce_auth::{
    simulation::install,
    time::{Clock, Now},
};

use crate::{
    dice::Dice,
    part::{Part, me},
};

/// The wall clock at the beginning.
const MORNING: Duration = Duration::from_secs(1_700_000_000);
/// How far the wall clock is set when it is right.
pub(crate) const RIGHT: Duration = Duration::from_secs(8000);
/// Boot time at the beginning.
const BOOTED: Duration = Duration::from_secs(1_000_000);
const EVER: Duration = Duration::MAX;

pub(crate) struct Stage {
    seed: u64,
    tells: bool,
    /// Whether threads can often not be started.
    pub(crate) is_poor: bool,
    state: Mutex<State>,
    /// Threads that the library has started.
    started: Mutex<Vec<JoinHandle<()>>>,
}

struct State {
    dice: Dice,
    actors: Vec<Actor>,
    /// Which actor runs.
    current: usize,
    /// How long the machine has run, without suspends.
    running: Duration,
    suspended: Duration,
    /// How far the wall clock is set: it is right at [`RIGHT`].
    set: Duration,
    /// Counts everything that can change what a token is worth.
    upheavals: u64,
    upset_at: Duration,
    alarms: Vec<(Duration, Box<dyn FnOnce() + Send>)>,
    turns: u64,
}

struct Actor {
    gate: Arc<Condvar>,
    /// Until when it waits, if it does.
    waits: Option<Duration>,
    notified: bool,
    /// Only a notice to it alone wakes it.
    rests: bool,
    done: bool,
}

impl Stage {
    pub(crate) fn new(seed: u64) -> Arc<Self> {
        let mut dice = Dice::new(seed);
        Arc::new(Self {
            seed,
            tells: std::env::var_os("SIMULATION_TELLS").is_some(),
            is_poor: dice.one_in(6),
            started: Mutex::default(),
            state: Mutex::new(State {
                dice,
                actors: Vec::new(),
                current: 0,
                running: Duration::ZERO,
                suspended: Duration::ZERO,
                set: RIGHT,
                upheavals: 0,
                upset_at: Duration::ZERO,
                alarms: Vec::new(),
                turns: 0,
            }),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Shows what happens, if that is wanted.
    pub(crate) fn tell(&self, what: impl FnOnce() -> String) {
        if self.tells {
            let (running, me) = (self.running(), me());
            let line = format!("{running:>14.3?} actor {me:>2}: {}\n", what());
            let _ = std::io::stderr().write_all(line.as_bytes());
        }
    }

    /// Ends the whole run: the other threads stand in the middle of something.
    pub(crate) fn fail(&self, what: &str) -> ! {
        let seed = self.seed;
        let say = format!(
            "\nthe simulation fails with seed {seed}: {what}\n\
             run it again with SIMULATION_SEED={seed}\n"
        );
        let _ = std::io::stderr().write_all(say.as_bytes());
        std::process::exit(101)
    }

    pub(crate) fn check(&self, good: bool, what: impl FnOnce() -> String) {
        if !good {
            self.fail(&what());
        }
    }

    /// Adds a thread, which begins when the stage is run.
    pub(crate) fn act(self: &Arc<Self>, part: impl FnOnce() + Send + 'static) -> JoinHandle<()> {
        let mut state = self.lock();
        let me = state.actors.len();
        let gate = Arc::new(Condvar::new());
        state.actors.push(Actor {
            gate: Arc::clone(&gate),
            waits: None,
            notified: false,
            rests: false,
            done: false,
        });
        drop(state);
        let stage = Arc::clone(self);
        thread::spawn(move || {
            // Number 0 is the one that plays first.
            let mut state = stage.lock();
            while state.turns == 0 || state.current != me {
                state = gate.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            drop(state);
            Part {
                stage: Arc::clone(&stage),
                me,
            }
            .take();
            part();
            install(None);
            let mut state = stage.lock();
            state.actors[me].done = true;
            drop(stage.next(state));
        })
    }

    /// Begins.
    pub(crate) fn open(&self) {
        let mut state = self.lock();
        state.turns = 1;
        let first = state.actors.len();
        state.current = state.dice.index(first);
        state.actors[state.current].gate.notify_all();
    }

    /// Hands over to an actor that can run; moves time on where none can.
    fn next<'a>(&'a self, mut state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        loop {
            let running = state.running;
            let ready: Vec<usize> = (0..state.actors.len())
                .filter(|n| {
                    let actor = &state.actors[*n];
                    let ready = actor
                        .waits
                        .is_none_or(|until| actor.notified || until <= running);
                    !actor.done && ready
                })
                .collect();
            if !ready.is_empty() {
                let chosen = ready[state.dice.index(ready.len())];
                state.current = chosen;
                state.turns += 1;
                state.actors[chosen].waits = None;
                state.actors[chosen].notified = false;
                state.actors[chosen].gate.notify_all();
                return state;
            }
            if state.actors.iter().all(|actor| actor.done) {
                state.current = usize::MAX;
                return state;
            }
            let waits = state.actors.iter().filter(|it| !it.done);
            let waits = waits.filter_map(|actor| actor.waits);
            let alarms = state.alarms.iter().map(|(at, _)| *at);
            let next = waits.chain(alarms).min().unwrap_or(EVER);
            if next == EVER {
                self.fail("every thread waits, and nothing will ever happen");
            }
            state.running = state.running.max(next);
            let now = state.running;
            let mut due = Vec::new();
            let mut later = Vec::new();
            for alarm in std::mem::take(&mut state.alarms) {
                if alarm.0 <= now {
                    due.push(alarm.1);
                } else {
                    later.push(alarm);
                }
            }
            state.alarms = later;
            if !due.is_empty() {
                drop(state);
                for ring in due {
                    ring();
                }
                state = self.lock();
            }
        }
    }

    /// Starts a thread of the library.
    pub(crate) fn start(self: &Arc<Self>, part: impl FnOnce() + Send + 'static) {
        let thread = self.act(part);
        self.started.lock().unwrap().push(thread);
    }

    /// Has `ring` called when the machine has run for `limit`.
    pub(crate) fn ring_after(&self, limit: Duration, ring: Box<dyn FnOnce() + Send>) {
        let mut state = self.lock();
        let at = state.running.saturating_add(limit);
        state.alarms.push((at, ring));
    }

    /// Waits for the threads that the library has started.
    pub(crate) fn close(&self) {
        while let Some(thread) = self.started.lock().unwrap().pop() {
            if thread.join().is_err() {
                self.fail("a thread of the library panicked");
            }
        }
    }

    pub(crate) fn give_way(&self, me: usize, waits: Option<Duration>) {
        let mut state = self.lock();
        state.actors[me].waits = waits;
        let gate = Arc::clone(&state.actors[me].gate);
        let mut state = self.next(state);
        while state.current != me {
            state = gate.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Lets another actor run, by chance.
    pub(crate) fn maybe_pass(&self) {
        let me = me();
        if me == usize::MAX {
            return;
        }
        let pass = self.lock().dice.one_in(3);
        if pass {
            self.give_way(me, None);
        }
    }

    /// Lets time pass.
    pub(crate) fn sleep(&self, time: Duration) {
        let me = me();
        let until = self.running().saturating_add(time);
        while self.running() < until {
            self.give_way(me, Some(until));
        }
    }

    /// Waits until this actor is notified, or `until`.
    pub(crate) fn wait_until(&self, until: Duration) {
        self.give_way(me(), Some(until));
    }

    /// Waits until this actor, and none but it, is notified.
    pub(crate) fn rest(&self) {
        let mut state = self.lock();
        let actor = &mut state.actors[me()];
        // A notice to all that came before is none to it alone.
        (actor.rests, actor.notified) = (true, false);
        drop(state);
        self.give_way(me(), Some(EVER));
        self.lock().actors[me()].rests = false;
    }

    pub(crate) fn notify(&self, actor: usize) {
        self.lock().actors[actor].notified = true;
    }

    pub(crate) fn notify_all(&self) {
        self.lock()
            .actors
            .iter_mut()
            .filter(|it| !it.rests)
            .for_each(|it| it.notified = true);
    }

    pub(crate) fn roll<R>(&self, with: impl FnOnce(&mut Dice) -> R) -> R {
        with(&mut self.lock().dice)
    }

    /// How long the machine has run, without suspends.
    pub(crate) fn running(&self) -> Duration {
        self.lock().running
    }

    pub(crate) fn boot(&self) -> Duration {
        let state = self.lock();
        BOOTED + state.running + state.suspended
    }

    /// The wall clock of servers, which is right.
    pub(crate) fn true_wall(&self) -> Duration {
        let state = self.lock();
        MORNING + RIGHT + state.running + state.suspended
    }

    pub(crate) fn suspend(&self, time: Duration) {
        self.tell(|| format!("suspend of {time:?}"));
        let mut state = self.lock();
        state.suspended += time;
        state.upset_at = state.running;
        state.upheavals += 1;
    }

    /// Sets the wall clock: before [`RIGHT`] it is behind, after it ahead.
    pub(crate) fn set_clock(&self, time: Duration) {
        self.tell(|| format!("wall clock is set to {time:?}, {RIGHT:?} is right"));
        let mut state = self.lock();
        state.set = time;
        state.upset_at = state.running;
        state.upheavals += 1;
    }

    /// When the last suspend or jump of the wall clock was.
    pub(crate) fn upset_at(&self) -> Duration {
        self.lock().upset_at
    }

    /// How far the wall clock is set.
    pub(crate) fn set(&self) -> Duration {
        self.lock().set
    }

    /// Whether the wall clock is right.
    pub(crate) fn is_right(&self) -> bool {
        self.lock().set == RIGHT
    }

    pub(crate) fn upheavals(&self) -> u64 {
        self.lock().upheavals
    }

    pub(crate) fn turns(&self) -> u64 {
        self.lock().turns
    }
}

impl std::fmt::Debug for Stage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stage").field("seed", &self.seed).finish()
    }
}

impl Clock for Stage {
    fn now(&self) -> Now {
        self.maybe_pass();
        let state = self.lock();
        let passed = state.running + state.suspended;
        Now::new(MORNING + passed + state.set, BOOTED + passed)
    }

    fn sleep(&self, duration: Duration) {
        Self::sleep(self, duration);
    }

    fn jitter(&self) -> f64 {
        self.roll(|dice| dice.roll(1000) as f64 / 1000.0)
    }
}
