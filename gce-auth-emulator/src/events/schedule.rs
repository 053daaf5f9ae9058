//! When an event is played, how often, and for which clients.

use std::{
    error::Error,
    fmt,
    time::{Duration, SystemTime},
};

use crate::{
    client::ClientPattern,
    clock::Instant,
    events::{
        machine_event::MachineEvent,
        step::{MachineStep, Step},
    },
};

/// How often an event is played at most.
const MOST_REPEATS: u32 = 1000;

/// A [`MachineEvent`], and when it is played. By default at once, once, and for every client.
///
/// ```
/// use std::time::Duration;
///
/// use gce_auth_emulator::{Emulator, EventSchedule, MachineEvent, Maintenance};
///
/// let emulator = Emulator::builder()
///     .machine_event(EventSchedule::new(Maintenance::migrate()).after(Duration::from_secs(60)))
///     .start()?;
/// // Some nodes of a cluster are hit.
/// let hit = EventSchedule::new(MachineEvent::preempt()).client("172.17.0.0/30");
/// let id = emulator.schedule(hit)?;
/// assert!(emulator.cancel_event(id));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[must_use]
pub struct EventSchedule {
    pub(crate) event: MachineEvent,
    pub(crate) when: When,
    pub(crate) repeat: u32,
    pub(crate) client: Option<String>,
}

/// When an event is played first.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum When {
    /// After this time, also between one and the next.
    After(Duration),
    At(Instant),
}

impl EventSchedule {
    /// Plays an event at once.
    pub fn new(event: impl Into<MachineEvent>) -> Self {
        Self {
            event: event.into(),
            when: When::After(Duration::ZERO),
            repeat: 1,
            client: None,
        }
    }

    /// Plays it after this time on the emulator's clock. With [`repeat`](Self::repeat), this much
    /// time is between the end of one and the beginning of the next, too.
    pub fn after(mut self, time: Duration) -> Self {
        self.when = When::After(time);
        self
    }

    /// Plays it at this time of the emulator's clock; at once if it is past.
    pub fn at(mut self, time: SystemTime) -> Self {
        self.when = When::At(Instant::from_system(time));
        self
    }

    /// Plays it so many times, one after the other. A machine that ended starts again before.
    pub fn repeat(mut self, times: u32) -> Self {
        self.repeat = times;
        self
    }

    /// Plays it only for clients of this address, of this network in CIDR notation, or in whose
    /// `User-Agent` or `x-goog-api-client` header this stands, in any case. They see another
    /// document then, with its own ETags, until the event is cancelled or has restored it. The
    /// clock is the same for all clients: it does not jump.
    pub fn client(mut self, pattern: impl Into<String>) -> Self {
        self.client = Some(pattern.into());
        self
    }

    /// Checks it; returns the clients that it is for, if not all.
    pub(crate) fn check(&self) -> Result<Option<ClientPattern>, EventError> {
        let client = self.client.as_deref().map(ClientPattern::parse);
        let client = client.transpose().map_err(EventError)?;
        let instant = Instant::from_system(SystemTime::UNIX_EPOCH);
        let steps = self.event.steps(instant);
        let lasts = steps.last().is_some_and(|step| !step.after.is_zero());
        let waits = matches!(self.when, When::After(time) if !time.is_zero());
        let refuse = |why: &str| Err(EventError(why.into()));
        if !(1..=MOST_REPEATS).contains(&self.repeat) {
            return refuse("an event is played from 1 to 1,000 times");
        }
        if self.repeat > 1 && !lasts && !waits {
            return refuse("an event that takes no time is repeated only with a time in between");
        }
        Ok(client)
    }

    /// Returns what happens, if it begins then.
    pub(crate) fn steps(&self, begins: Instant) -> Vec<Step> {
        let mut steps = self.event.steps(begins);
        if self.client.is_some() {
            for step in &mut steps {
                // All clients have one clock.
                let stays = !matches!(step.machine, Some(MachineStep::ClockJumped { .. }));
                step.machine = step.machine.take().filter(|_| stays);
            }
        }
        steps
    }

    /// The length of its texts.
    pub(crate) fn length(&self) -> usize {
        let event = match &self.event {
            MachineEvent::SetAttributes { attributes, .. } => attributes
                .iter()
                .map(|(key, value)| key.len() + value.as_ref().map_or(0, String::len))
                .sum(),
            _ => 1024,
        };
        event + self.client.as_ref().map_or(0, String::len)
    }
}

/// Why an event can't be played.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventError(pub(crate) String);

impl fmt::Display for EventError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for EventError {}
