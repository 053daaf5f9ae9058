//! The library's own threads, apart for each server that is asked.

use std::{
    collections::{HashMap, VecDeque},
    fmt, iter, mem,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, OnceLock},
    time::Duration,
};

#[cfg(feature = "_simulation")]
use crate::task::baton;
use crate::{
    io::threads::{Executor, LaneKey, Work, WorkKind, spawn},
    task::{
        per_process::PerProcess,
        sync::{Condvar, Mutex, MutexGuard, lock, notify_one, wait_until},
    },
};

/// Threads at most for one origin, the one for access tokens included.
const PER_ORIGIN: usize = 32;
/// Threads at most in all, but that each origin gets one.
const IN_ALL: usize = 256;
/// How long a thread without work stays, for a program that asks for one thing
/// after another when it begins. On a busy machine a thread that is woken runs
/// at once, and one that is started when a time slice has passed.
const LINGER: Duration = Duration::from_millis(10);
/// From this length on a queue is searched for work without callers as it grows.
const LONG_QUEUE: usize = 64;

/// Returns the one executor of this process, unless a program brings its own.
pub(crate) fn shared() -> Arc<dyn Executor> {
    static SHARED: OnceLock<Arc<LaneExecutor>> = OnceLock::new();
    let make = || Arc::new(LaneExecutor(PerProcess::new()));
    Arc::clone(SHARED.get_or_init(make)) as Arc<dyn Executor>
}

struct LaneExecutor(PerProcess<Lanes>);

impl fmt::Debug for LaneExecutor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LaneExecutor")
    }
}

/// The threads of one process, and what they are to do.
#[derive(Default)]
struct Lanes {
    state: Mutex<State>,
    handed: Condvar,
}

#[derive(Default)]
struct State {
    /// All threads, those that are about to start included.
    threads: usize,
    /// Threads that wait for work, but for those that something was handed to.
    idle: usize,
    /// Work for threads that wait; counted by its lane already.
    handed: Vec<Work>,
    /// How much waits in all lanes together.
    queued: usize,
    /// Lanes that have work, done or waiting.
    lanes: HashMap<LaneKey, Lane>,
}

/// One origin.
#[derive(Default)]
struct Lane {
    busy: usize,
    busy_with_other: usize,
    /// What waits. Apart, so that work that may not begin is not looked at: of
    /// a server that hangs, 100,000 pieces may wait.
    access_tokens: Queue,
    other: Queue,
    /// How much was ever queued here.
    came: u64,
}

/// Work that waits, each piece with its number among those of its lane.
type Queue = VecDeque<(u64, Work)>;

impl Executor for LaneExecutor {
    fn execute(&self, work: Work) -> Result<(), Work> {
        if work.kind() == WorkKind::Watch {
            work.progress().set_assigned();
            return start(work, Box::new(Work::run));
        }
        Lanes::execute(&self.0.get(), work)
    }
}

impl Lanes {
    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    fn execute(self: &Arc<Self>, work: Work) -> Result<(), Work> {
        let mut state = self.lock();
        if !state.may_begin(&work) {
            let dropped = state.queue(work);
            drop(state);
            drop(dropped);
            return Ok(());
        }
        state.take(&work);
        let progress = work.progress().clone();
        let Some(work) = state.hand(work) else {
            drop(state);
            notify_one(&self.handed);
            return Ok(());
        };
        state.threads += 1;
        drop(state);
        let lanes = Arc::clone(self);
        match start(work, Box::new(move |work| lanes.serve(work))) {
            Ok(()) => {
                // Not before: without a thread it may wait, and its callers watch
                // their budgets.
                progress.set_assigned();
                Ok(())
            }
            Err(work) => self.not_started(work),
        }
    }

    /// Decides what becomes of work whose thread, which was counted, could not
    /// be started.
    fn not_started(&self, work: Work) -> Result<(), Work> {
        let mut state = self.lock();
        state.threads -= 1;
        // One may have come to its end meanwhile, and wait.
        let Some(work) = state.hand(work) else {
            drop(state);
            notify_one(&self.handed);
            return Ok(());
        };
        let left = state.release(work.lane(), work.kind());
        if left > 0 {
            // Another thread of this lane is at work and will take it; or it
            // cannot be started either, and its caller comes here.
            let dropped = state.queue(work);
            drop(state);
            drop(dropped);
            return Ok(());
        }
        // What waits in this lane would wait for ever.
        let queue = state.drain(work.lane());
        drop(state);
        // A caller may come meanwhile: each piece is asked once.
        let (awaited, rest): (Vec<_>, Vec<_>) = queue.into_iter().partition(Work::is_awaited);
        for work in awaited.into_iter().chain(rest) {
            run(work);
        }
        Err(work)
    }

    /// Does `work`, then what else there is, and ends when there is nothing for
    /// a moment.
    fn serve(&self, work: Work) {
        let mut next = Some(work);
        while let Some(work) = next {
            let (origin, kind) = (work.lane().clone(), work.kind());
            run(work);
            let mut state = self.lock();
            state.release(&origin, kind);
            next = state.pop(&origin);
            if next.is_none() {
                next = self.linger(state);
            }
        }
    }

    /// Waits for work; `None` if none came, and the thread is to end.
    fn linger(&self, mut state: MutexGuard<'_, State>) -> Option<Work> {
        state.idle += 1;
        let mut state = wait_until(&self.handed, &self.state, state, LINGER, |state| {
            !state.handed.is_empty()
        });
        // The caller that handed something over has counted this thread already.
        let work = state.handed.pop();
        if work.is_none() {
            state.idle -= 1;
            state.threads -= 1;
        }
        work
    }
}

/// Starts a thread of the library that does `run(work)`, or gives the work back.
fn start(work: Work, run: Box<dyn FnOnce(Work) + Send>) -> Result<(), Work> {
    #[cfg(feature = "_simulation")]
    if let Some(baton) = baton::held() {
        return baton.spawn(work, run);
    }
    spawn("gce-auth", work, run)
}

/// Returns the most threads of one origin, and of all together.
fn bounds() -> (usize, usize) {
    #[cfg(feature = "_simulation")]
    if let Some(baton) = baton::held() {
        return baton.threads();
    }
    (PER_ORIGIN, IN_ALL)
}

/// Does a piece of work. A task that panics tells its waiters itself; the thread
/// goes on.
fn run(work: Work) {
    let _ = catch_unwind(AssertUnwindSafe(|| work.run()));
}

impl State {
    /// Hands work, which is counted, to a thread that waits; gives it back if
    /// none does. The caller wakes one.
    fn hand(&mut self, work: Work) -> Option<Work> {
        if self.idle == 0 {
            return Some(work);
        }
        self.idle -= 1;
        work.progress().set_assigned();
        self.handed.push(work);
        None
    }

    /// Returns whether a thread may begin `work` now, one more than there are.
    fn may_begin(&self, work: &Work) -> bool {
        let more = self.idle > 0 || self.threads < bounds().1;
        let lane = self.lanes.get(work.lane());
        lane.is_none_or(|lane| lane.busy == 0 || (more && lane.has_room_for(work.kind())))
    }

    /// Counts work that a thread is to do.
    fn take(&mut self, work: &Work) {
        let lane = self.lanes.entry(work.lane().clone()).or_default();
        lane.busy += 1;
        if work.kind() != WorkKind::AccessToken {
            lane.busy_with_other += 1;
        }
    }

    /// Takes note of the end of a piece of work; returns how many threads its
    /// lane still has.
    fn release(&mut self, origin: &LaneKey, kind: WorkKind) -> usize {
        let Some(lane) = self.lanes.get_mut(origin) else {
            return 0;
        };
        lane.busy -= 1;
        if kind != WorkKind::AccessToken {
            lane.busy_with_other -= 1;
        }
        let left = lane.busy;
        if left == 0 && lane.access_tokens.is_empty() && lane.other.is_empty() {
            self.lanes.remove(origin);
        }
        left
    }

    /// Has `work` wait for a thread; returns the work whose callers have left,
    /// to be dropped without the lock.
    fn queue(&mut self, work: Work) -> Vec<Work> {
        let lane = self.lanes.entry(work.lane().clone()).or_default();
        let queue = lane.push(work);
        self.queued += 1;
        let length = queue.len();
        if length < LONG_QUEUE || !length.is_power_of_two() {
            return Vec::new();
        }
        let mut gone = Vec::new();
        for (number, work) in mem::take(queue) {
            if work.is_abandoned() {
                gone.push(work);
            } else {
                queue.push_back((number, work));
            }
        }
        self.queued -= gone.len();
        gone
    }

    /// Takes the next piece of work for a thread that has come free: of the
    /// lane that it worked for, else of one that could not have a thread.
    fn pop(&mut self, origin: &LaneKey) -> Option<Work> {
        if self.queued == 0 {
            return None;
        }
        let own = self.lanes.get_mut(origin).and_then(Lane::pop);
        let work = own.or_else(|| self.lanes.values_mut().find_map(Lane::pop))?;
        self.queued -= 1;
        self.take(&work);
        work.progress().set_assigned();
        Some(work)
    }

    /// Takes all that waits in a lane, in the order in which it came.
    fn drain(&mut self, origin: &LaneKey) -> Vec<Work> {
        let mut lane = self.lanes.remove(origin).unwrap_or_default();
        self.queued -= lane.access_tokens.len() + lane.other.len();
        let first = |queue: &Queue| queue.front().map_or(u64::MAX, |(number, _)| *number);
        let next = || {
            let queue = if first(&lane.access_tokens) < first(&lane.other) {
                &mut lane.access_tokens
            } else {
                &mut lane.other
            };
            queue.pop_front().map(|(_, work)| work)
        };
        iter::from_fn(next).collect()
    }
}

impl Lane {
    fn has_room_for(&self, kind: WorkKind) -> bool {
        let most = bounds().0;
        self.busy < most && (kind == WorkKind::AccessToken || self.busy_with_other < most - 1)
    }

    /// Adds `work`; returns the queue that it waits in.
    fn push(&mut self, work: Work) -> &mut Queue {
        self.came += 1;
        let queue = match work.kind() {
            WorkKind::AccessToken => &mut self.access_tokens,
            _ => &mut self.other,
        };
        queue.push_back((self.came, work));
        queue
    }

    /// Takes the first awaited piece that a thread may begin, else the first.
    fn pop(&mut self) -> Option<Work> {
        let (tokens, other) = (
            self.has_room_for(WorkKind::AccessToken),
            self.has_room_for(WorkKind::Other),
        );
        let queues = [(tokens, &mut self.access_tokens), (other, &mut self.other)];
        let first = |queue: &Queue| {
            let awaited = queue.iter().position(|(_, work)| work.is_awaited());
            let position = awaited.unwrap_or_default();
            let (number, _) = queue.get(position)?;
            Some((awaited.is_none(), *number, position))
        };
        let ((.., position), queue) = queues
            .into_iter()
            .filter(|(open, _)| *open)
            .filter_map(|(_, queue)| Some((first(queue)?, queue)))
            .min_by_key(|(first, _)| *first)?;
        Some(queue.remove(position)?.1)
    }
}

#[cfg(all(test, not(gce_auth_loom)))]
mod tests;
