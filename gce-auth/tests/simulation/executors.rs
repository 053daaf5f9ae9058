//! Programs' executors, the good and the bad.

use std::{
    collections::VecDeque,
    fmt,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use gce_auth::executor::{Executor, Work};

use crate::{part::me, stage::Stage};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Runs all work soon.
    Good,
    /// Runs it seconds later.
    Late,
    /// Keeps it, and never runs it.
    Never,
    /// Drops every second piece.
    Drops,
    /// Gives it back.
    GivesBack,
    /// There is none: the library's own threads run it.
    Library,
}

pub(crate) struct Crew {
    stage: Arc<Stage>,
    pub(crate) manner: Manner,
    state: Mutex<State>,
    drops: AtomicU64,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Work>,
    /// Its threads that have nothing to do.
    idle: Vec<usize>,
    over: bool,
}

impl Crew {
    pub(crate) fn new(stage: &Arc<Stage>, manner: Manner) -> Arc<Self> {
        Arc::new(Self {
            stage: Arc::clone(stage),
            manner,
            state: Mutex::default(),
            drops: AtomicU64::new(0),
        })
    }

    /// Returns how many threads it has.
    pub(crate) fn threads(&self) -> usize {
        match self.manner {
            // A thread for all that callers may have begun.
            Manner::Good => 10,
            Manner::Late | Manner::Drops => 2,
            Manner::Never | Manner::GivesBack | Manner::Library => 0,
        }
    }

    /// Returns how many pieces it has dropped.
    pub(crate) fn drops(&self) -> u64 {
        self.drops.load(Relaxed)
    }

    /// What one of its threads does until it is over.
    pub(crate) fn serve(&self) {
        loop {
            let mut state = self.state.lock().unwrap();
            let (work, over) = (state.queue.pop_front(), state.over);
            if work.is_none() && !over {
                state.idle.push(me());
            }
            drop(state);
            match work {
                Some(work) => {
                    if self.manner == Manner::Late {
                        let time = self.stage.roll(|dice| dice.millis(500, 20_000));
                        self.stage.sleep(time);
                    }
                    work.run();
                }
                None if over => return,
                None => self.stage.rest(),
            }
        }
    }

    /// Ends its threads; what is queued is dropped.
    pub(crate) fn end(&self) {
        let ended = State {
            over: true,
            ..State::default()
        };
        let State { queue, idle, .. } = std::mem::replace(&mut *self.state.lock().unwrap(), ended);
        drop(queue);
        idle.into_iter().for_each(|it| self.stage.notify(it));
    }
}

impl fmt::Debug for Crew {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Crew")
            .field("manner", &self.manner)
            .finish()
    }
}

impl Executor for Crew {
    fn execute(&self, work: Work) -> Result<(), Work> {
        self.stage.maybe_pass();
        let drops = self.manner == Manner::Drops && self.stage.roll(|dice| dice.one_in(2));
        if self.manner == Manner::GivesBack {
            return Err(work);
        }
        if drops {
            self.drops.fetch_add(1, Relaxed);
            drop(work);
            self.drops.fetch_add(1, Relaxed);
            return Ok(());
        }
        let mut state = self.state.lock().unwrap();
        state.queue.push_back(work);
        let idle = (!state.idle.is_empty()).then(|| {
            let chosen = self.stage.roll(|dice| dice.index(state.idle.len()));
            state.idle.swap_remove(chosen)
        });
        drop(state);
        if let Some(idle) = idle {
            self.stage.notify(idle);
        }
        Ok(())
    }
}
