//! Programs' executors, the good and the bad.

use std::{
    collections::VecDeque,
    fmt,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use gce_auth::executor::{Executor, Work};

use crate::stage::Stage;

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

    /// Returns how many pieces it has dropped.
    pub(crate) fn drops(&self) -> u64 {
        self.drops.load(Relaxed)
    }

    /// What one of its threads does until it is over.
    pub(crate) fn serve(&self) {
        loop {
            let (work, over) = {
                let mut state = self.state.lock().unwrap();
                let work = (self.manner != Manner::Never).then(|| state.queue.pop_front());
                (work.flatten(), state.over)
            };
            match work {
                Some(work) => {
                    if self.manner == Manner::Late {
                        let time = self.stage.roll(|dice| dice.millis(500, 20_000));
                        self.stage.sleep(time);
                    }
                    work.run();
                }
                None if over => return,
                None => self.stage.wait_until(Duration::MAX),
            }
        }
    }

    /// Ends its threads; what is queued is dropped.
    pub(crate) fn end(&self) {
        let queue = {
            let mut state = self.state.lock().unwrap();
            state.over = true;
            std::mem::take(&mut state.queue)
        };
        drop(queue);
        self.stage.notify_all();
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
        self.state.lock().unwrap().queue.push_back(work);
        self.stage.notify_all();
        Ok(())
    }
}
