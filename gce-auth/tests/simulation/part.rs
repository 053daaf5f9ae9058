//! A thread of the simulated process, as the library and its futures see it.

use std::{cell::Cell, sync::Arc, task::Wake, time::Duration};

use gce_auth::{
    executor::Work,
    simulation::{Baton, install},
};

use crate::stage::Stage;

thread_local! {
    static ME: Cell<usize> = const { Cell::new(usize::MAX) };
}

/// Threads of the library: for one origin, and in all.
const LANES: (usize, usize) = (2, 4);

/// Returns which actor this thread is.
pub(crate) fn me() -> usize {
    ME.get()
}

pub(crate) struct Part {
    pub(crate) stage: Arc<Stage>,
    pub(crate) me: usize,
}

impl Part {
    /// Makes this thread the actor.
    pub(crate) fn take(self) {
        ME.set(self.me);
        install(Some(Arc::new(self)));
    }
}

impl Baton for Part {
    fn wait(&self, limit: Duration) -> Duration {
        let before = self.stage.running();
        self.stage
            .give_way(self.me, Some(before.saturating_add(limit)));
        self.stage.running() - before
    }

    fn pass(&self) {
        self.stage.give_way(self.me, None);
    }

    fn notify(&self) {
        self.stage.notify_all();
    }

    fn alarm(&self, limit: Duration, ring: Box<dyn FnOnce() + Send>) {
        self.stage.ring_after(limit, ring);
    }

    fn spawn(&self, work: Work, run: Box<dyn FnOnce(Work) + Send>) -> Result<(), Work> {
        let stage = &self.stage;
        if stage.is_poor && stage.roll(|dice| dice.one_in(3)) {
            stage.tell(|| "no thread can be started".to_owned());
            return Err(work);
        }
        stage.start(move || run(work));
        Ok(())
    }

    fn threads(&self) -> (usize, usize) {
        LANES
    }
}

/// Wakes an actor that polls a future.
pub(crate) struct Bell {
    pub(crate) stage: Arc<Stage>,
    pub(crate) actor: usize,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.stage.notify(self.actor);
    }
}
