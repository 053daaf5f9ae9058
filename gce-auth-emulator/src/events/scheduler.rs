//! The events that are to come, under way and over. Knows no clock: each call says the time.

use std::{fmt, time::SystemTime};

use serde_json::{Value, json};

use crate::{
    client::{Client, ClientPattern},
    clock::Instant,
    document::change::Change,
    events::{
        event_json,
        machine_event::MachineEvent,
        schedule::{EventError, EventSchedule, When},
        step::{MachineStep, Step},
    },
};

/// How many events there can be at once, and how many bytes of text in them. The oldest that is
/// over makes room.
const KEPT: usize = 1000;
const BYTES: usize = 1 << 20;

/// All events, the oldest first.
#[derive(Default)]
pub(crate) struct Scheduler {
    entries: Vec<Entry>,
    last_id: u64,
    /// How often a machine ended.
    ends: u64,
    /// How often an event changed the document.
    made: u64,
}

struct Entry {
    id: u64,
    schedule: EventSchedule,
    client: Option<ClientPattern>,
    /// Of the round that is next or under way.
    begins: Instant,
    round: u32,
    steps: Vec<Step>,
    /// How many of these were played.
    played: usize,
    /// What it did to the document, unless it is for some clients only.
    changes: Vec<Change>,
    /// Whether the machine ended.
    down: bool,
    /// Which of all ends the last one of this machine was; 0 before the first.
    ended: u64,
}

/// A step whose time has come.
pub(crate) struct Due {
    pub(crate) id: u64,
    pub(crate) event: &'static str,
    pub(crate) client: Option<ClientPattern>,
    pub(crate) step: Step,
    /// Whether the machine has to start again before.
    pub(crate) afresh: bool,
}

impl Entry {
    fn next_at(&self) -> Option<Instant> {
        let step = self.steps.get(self.played)?;
        Some(self.begins.plus(step.after))
    }

    /// Whether it happens to the machine of this client.
    fn means(&self, client: &Client) -> bool {
        let clients = self.client.as_ref();
        clients.is_none_or(|clients| clients.fits(client))
    }

    fn state(&self) -> EventState {
        match self.next_at() {
            None => EventState::Over,
            Some(_) if self.played == 0 && self.round == 1 => EventState::Scheduled,
            Some(_) => EventState::Playing,
        }
    }

    /// Goes on to the next step; to the next round after the last one.
    fn proceed(&mut self, at: Instant) {
        self.played += 1;
        if self.played < self.steps.len() || self.round >= self.schedule.repeat {
            return;
        }
        self.round += 1;
        self.begins = match self.schedule.when {
            When::After(time) => at.plus(time),
            When::At(_) => at,
        };
        self.steps = self.schedule.steps(self.begins);
        self.played = 0;
    }
}

impl Scheduler {
    /// Takes an event in; returns its number.
    pub(crate) fn add(&mut self, schedule: EventSchedule, now: Instant) -> Result<u64, EventError> {
        let client = schedule.check()?;
        let mut bytes = schedule.length();
        if bytes > BYTES {
            return Err(EventError(
                "the event has too much text: at most 1 MiB is".into(),
            ));
        }
        bytes += self
            .entries
            .iter()
            .map(|entry| entry.schedule.length())
            .sum::<usize>();
        while self.entries.len() >= KEPT || bytes > BYTES {
            // One that still shows would change what clients see.
            let over = |entry: &Entry| {
                entry.state() == EventState::Over && entry.client.is_none() && !entry.down
            };
            let Some(oldest) = self.entries.iter().position(over) else {
                return Err(EventError(
                    "there are too many events: cancel some first".into(),
                ));
            };
            bytes -= self.entries.remove(oldest).schedule.length();
        }
        self.last_id += 1;
        let begins = match schedule.when {
            When::After(time) => now.plus(time),
            When::At(then) => then.max(now),
        };
        self.entries.push(Entry {
            id: self.last_id,
            client,
            begins,
            round: 1,
            steps: schedule.steps(begins),
            played: 0,
            changes: Vec::new(),
            down: false,
            ended: 0,
            schedule,
        });
        Ok(self.last_id)
    }

    /// When the next step is due.
    pub(crate) fn next_at(&self) -> Option<Instant> {
        self.entries.iter().filter_map(Entry::next_at).min()
    }

    /// The earliest step whose time has come.
    pub(crate) fn take_due(&mut self, now: Instant) -> Option<Due> {
        let due = |entry: &&mut Entry| entry.next_at().is_some_and(|at| at <= now);
        let entry = self
            .entries
            .iter_mut()
            .filter(due)
            .min_by_key(|entry| entry.next_at())?;
        let (step, at) = (entry.steps.get(entry.played)?.clone(), entry.next_at()?);
        let afresh = entry.down && entry.played == 0;
        match step.machine {
            Some(MachineStep::Ended) => {
                self.ends += 1;
                entry.down = true;
                entry.ended = self.ends;
            }
            Some(MachineStep::Restarted) => entry.down = false,
            _ if afresh => entry.down = false,
            _ => {}
        }
        entry.proceed(at);
        Some(Due {
            id: entry.id,
            event: entry.schedule.event.name(),
            client: entry.client.clone(),
            step,
            afresh,
        })
    }

    /// Takes what an event did to the document, and the number of what it does next.
    pub(crate) fn take_changes(&mut self, id: u64) -> (Vec<Change>, u64) {
        self.made += 1;
        let entry = self.entries.iter_mut().find(|entry| entry.id == id);
        let changes = entry.map(|entry| std::mem::take(&mut entry.changes));
        (changes.unwrap_or_default(), self.made)
    }

    /// Keeps what an event did to the document.
    pub(crate) fn keep_changes(&mut self, id: u64, changes: Vec<Change>) {
        if let Some(entry) = self.entries.iter_mut().find(|entry| entry.id == id) {
            entry.changes = changes;
        }
    }

    /// Takes a change out from below a later one of another event, if there is one.
    pub(crate) fn uncover(&mut self, gone: &Change) -> bool {
        let entries = self.entries.iter_mut();
        let mut changes = entries.flat_map(|entry| &mut entry.changes);
        changes.any(|change| change.uncover(gone))
    }

    /// Ends an event; returns what it did to the document. `None` if there is none of this number.
    pub(crate) fn remove(&mut self, id: u64) -> Option<Vec<Change>> {
        let index = self.entries.iter().position(|entry| entry.id == id)?;
        let entry = self.entries.remove(index);
        Some(entry.changes)
    }

    /// The numbers of all events, the newest first.
    pub(crate) fn ids(&self) -> Vec<u64> {
        self.entries.iter().rev().map(|entry| entry.id).collect()
    }

    pub(crate) fn clear(&mut self) {
        self.entries.clear();
    }

    /// Whether the machine ended for some client.
    pub(crate) fn is_any_down(&self) -> bool {
        self.entries.iter().any(|entry| entry.down)
    }

    /// Whether the machine ended for this client.
    pub(crate) fn is_down_for(&self, client: &Client) -> bool {
        let mut entries = self.entries.iter();
        entries.any(|entry| entry.down && entry.means(client))
    }

    /// How often a machine ended.
    pub(crate) fn ends(&self) -> u64 {
        self.ends
    }

    /// Whether the machine ended for this client after so many ends, also if it started again.
    pub(crate) fn ended_since(&self, ends: u64, client: &Client) -> bool {
        let mut entries = self.entries.iter();
        entries.any(|entry| entry.ended > ends && entry.means(client))
    }

    pub(crate) fn status(&self) -> Vec<EventStatus> {
        let status = |entry: &Entry| EventStatus {
            id: entry.id,
            event: entry.schedule.event.clone(),
            client: entry.schedule.client.clone(),
            repeat: entry.schedule.repeat,
            round: entry.round,
            state: entry.state(),
            is_down: entry.down,
            next_at: entry.next_at().map(Instant::to_system),
        };
        self.entries.iter().map(status).collect()
    }

    /// As control requests and the page show them.
    pub(crate) fn to_json(&self) -> Value {
        let show = |entry: &Entry| {
            let step = |(index, step): (usize, &Step)| {
                json!({
                    "at": entry.begins.plus(step.after).rfc3339(),
                    "what": step.describe(),
                    "done": index < entry.played,
                })
            };
            let steps: Vec<Value> = entry.steps.iter().enumerate().map(step).collect();
            json!({
                "id": entry.id,
                "event": event_json::show(&entry.schedule.event),
                "client": entry.schedule.client,
                "repeat": entry.schedule.repeat,
                "round": entry.round,
                "state": entry.state().name(),
                "isDown": entry.down,
                "nextAt": entry.next_at().map(Instant::rfc3339),
                "steps": steps,
            })
        };
        let all: Vec<Value> = self.entries.iter().map(show).collect();
        json!({ "machineEvents": all })
    }
}

/// How far an event has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EventState {
    /// Nothing of it was played yet.
    Scheduled,
    /// Its first step was played, and others follow.
    Playing,
    /// All of it was played.
    Over,
}

impl EventState {
    /// Returns the name of the state, as control requests show it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Scheduled => "scheduled",
            Self::Playing => "playing",
            Self::Over => "over",
        }
    }
}

impl fmt::Display for EventState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// An event of an emulator.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct EventStatus {
    /// Its number.
    pub id: u64,
    /// What happens.
    pub event: MachineEvent,
    /// The clients that it is for, if not all.
    pub client: Option<String>,
    /// How often it is played.
    pub repeat: u32,
    /// Which time it is, from 1 on.
    pub round: u32,
    /// How far it has come.
    pub state: EventState,
    /// Whether the machine ended by it and did not start again.
    pub is_down: bool,
    /// When its next step is due on the emulator's clock.
    pub next_at: Option<SystemTime>,
}
