//! The events of one emulator: shared, and cheap to look at when nothing is to come.

use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, AtomicI64, Ordering},
};

use tokio::sync::{Notify, watch};

use crate::{
    client::Client,
    clock::Instant,
    events::{schedule::EventSchedule, scheduler::Scheduler},
};

/// Stands for no time at all.
const NEVER: i64 = i64::MAX;

pub(crate) struct Events {
    scheduler: Mutex<Scheduler>,
    /// When the next step is due, in milliseconds since 1970.
    next: AtomicI64,
    /// Whether the machine ended for some client.
    down: AtomicBool,
    /// How often a machine ended.
    ends: watch::Sender<u64>,
    /// Notified when the next step is another one.
    pub(crate) changed: Notify,
    /// Those of the start.
    planned: Vec<EventSchedule>,
}

impl Events {
    pub(crate) fn new(planned: Vec<EventSchedule>) -> Self {
        Self {
            scheduler: Mutex::default(),
            next: AtomicI64::new(NEVER),
            down: AtomicBool::new(false),
            ends: watch::Sender::new(0),
            changed: Notify::new(),
            planned,
        }
    }

    /// Forgets all events, and begins those of the start.
    pub(crate) fn begin(&self, now: Instant) {
        self.change(|scheduler| {
            scheduler.clear();
            for schedule in &self.planned {
                // That there is room for them was seen at the start.
                let _ = scheduler.add(schedule.clone(), now);
            }
        });
    }

    /// Forgets all events.
    pub(crate) fn clear(&self) {
        self.change(Scheduler::clear);
    }

    /// Changes what is to come. Nothing else happens to the machine meanwhile.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut Scheduler) -> T) -> T {
        let mut scheduler = self.lock();
        let answer = change(&mut scheduler);
        let next = scheduler.next_at().map_or(NEVER, Instant::millis);
        self.down.store(scheduler.is_any_down(), Ordering::Relaxed);
        self.ends.send_if_modified(|ends| {
            let before = std::mem::replace(ends, scheduler.ends());
            before != *ends
        });
        if self.next.swap(next, Ordering::Relaxed) != next {
            self.changed.notify_waiters();
        }
        answer
    }

    pub(crate) fn read<T>(&self, read: impl FnOnce(&Scheduler) -> T) -> T {
        read(&self.lock())
    }

    /// Whether a step may be due; `now` is asked only where something is to come.
    pub(crate) fn is_due(&self, now: impl FnOnce() -> Instant) -> bool {
        let next = self.next.load(Ordering::Relaxed);
        next != NEVER && next <= now().millis()
    }

    /// Whether the machine ended for some client.
    pub(crate) fn is_any_down(&self) -> bool {
        self.down.load(Ordering::Relaxed)
    }

    /// Whether the machine ended for this client.
    pub(crate) fn is_down_for(&self, client: &Client) -> bool {
        self.lock().is_down_for(client)
    }

    /// Returns when the machine of this client has ended: at once if it is down.
    pub(crate) async fn ended(&self, client: &Client) {
        let mut ends = self.ends.subscribe();
        let since = *ends.borrow_and_update();
        if self.is_any_down() && self.is_down_for(client) {
            return;
        }
        while ends.changed().await.is_ok() {
            if self.lock().ended_since(since, client) {
                return;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Scheduler> {
        self.scheduler
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
