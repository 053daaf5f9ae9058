//! Plays what happens to the machine when its time has come.

use serde_json::Value;

use crate::{
    events::{
        EventError, EventSchedule, EventStatus, MachineStep, events_queue::Events, scheduler::Due,
    },
    observers::Event,
    state::State,
};

impl State {
    /// Takes an event in, and plays what is due at once; returns its number.
    pub(crate) fn schedule(&self, schedule: EventSchedule) -> Result<u64, EventError> {
        let now = self.clock.now();
        let id = self
            .events
            .change(|scheduler| scheduler.add(schedule, now))?;
        self.catch_up();
        Ok(id)
    }

    /// Ends an event, and takes back what it did; false if there is none of this number.
    pub(crate) fn cancel_event(&self, id: u64) -> bool {
        self.events.change(|scheduler| {
            let Some(changes) = scheduler.remove(id) else {
                return false;
            };
            self.document
                .take_back(&changes, &mut |gone| scheduler.uncover(gone));
            self.document.lift(id);
            true
        })
    }

    /// Ends all events, the newest first.
    pub(crate) fn cancel_events(&self) {
        for id in self.events.read(|scheduler| scheduler.ids()) {
            self.cancel_event(id);
        }
    }

    pub(crate) fn machine_events(&self) -> Vec<EventStatus> {
        self.events.read(|scheduler| scheduler.status())
    }

    /// The events as control requests and the page show them.
    pub(crate) fn machine_events_as_json(&self) -> Value {
        self.events.read(|scheduler| scheduler.to_json())
    }

    /// Plays all whose time has come, in the order of time.
    pub(crate) fn catch_up(&self) {
        while self.events.is_due(|| self.clock.now()) {
            let now = self.clock.now();
            let played = self.events.change(|scheduler| {
                let due = scheduler.take_due(now)?;
                if due.afresh {
                    let (changes, _) = scheduler.take_changes(due.id);
                    self.document
                        .take_back(&changes, &mut |gone| scheduler.uncover(gone));
                    self.document.lift(due.id);
                }
                match &due.client {
                    Some(clients) => self.document.put_over(due.id, clients, &due.step.patches),
                    None => {
                        let (mut changes, made) = scheduler.take_changes(due.id);
                        let notes = (&mut changes, made);
                        let uncover = &mut |gone: &_| scheduler.uncover(gone);
                        self.document.patch(&due.step.patches, notes, uncover);
                        scheduler.keep_changes(due.id, changes);
                    }
                }
                if let Some(MachineStep::ClockJumped { by }) = &due.step.machine {
                    self.clock.advance(*by);
                }
                Some(due)
            });
            match played {
                Some(due) => self.tell_played(due),
                None => return,
            }
        }
    }

    fn tell_played(&self, due: Due) {
        let machine = due.step.machine.clone();
        self.tell(&Event::Machine {
            id: due.id,
            event: due.event,
            client: due.client.map(|client| client.to_string()),
            what: due.step.describe(),
            step: machine,
        });
    }

    /// Plays events for good.
    pub(crate) async fn play(&self) {
        let Events { changed, .. } = &self.events;
        loop {
            let changed = changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            self.catch_up();
            match self.events.read(|scheduler| scheduler.next_at()) {
                None => changed.await,
                Some(then) => tokio::select! {
                    () = changed => {}
                    () = self.clock.sleep_until(then) => {}
                },
            }
        }
    }
}
