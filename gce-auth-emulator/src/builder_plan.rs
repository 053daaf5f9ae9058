//! What goes wrong and what happens to the machine, from the start on.

use std::{path::PathBuf, time::Duration};

use crate::{
    builder::EmulatorBuilder, events::EventSchedule, faults::rules::FaultRule,
    text_source::TextSource,
};

impl EmulatorBuilder {
    /// Adds a fault from the start on, as [`Emulator::add_fault`](crate::Emulator::add_fault) does
    /// later.
    pub fn fault(mut self, rule: FaultRule) -> Self {
        self.faults.push(rule);
        self
    }

    /// Has something happen to the machine, counted from the start on, as
    /// [`Emulator::schedule`](crate::Emulator::schedule) does later.
    pub fn machine_event(mut self, schedule: EventSchedule) -> Self {
        self.events.push(schedule);
        self
    }

    /// Adds a plan in TOML: what goes wrong from the start on, what happens to the machine, and how
    /// long tokens live. It is read when the emulator starts. [`refuse_for`](Self::refuse_for),
    /// [`token_lifetime`](Self::token_lifetime) and [`token_renewal`](Self::token_renewal) have
    /// priority over it, and each [`fault`](Self::fault) is tried before its faults. Of several
    /// plans the later one counts.
    ///
    /// ```
    /// use gce_auth_emulator::Emulator;
    ///
    /// let emulator = Emulator::builder()
    ///     .plan(r#"
    ///         seed = 7                  # for what happens by chance
    ///
    ///         [cold-start]
    ///         seconds = 3               # so long connections are refused,
    ///         status = 503              # or with this, answered so; retry-after = 1 is possible too
    ///
    ///         [tokens]
    ///         lifetime = 600            # seconds
    ///         renewal = 60
    ///
    ///         [[faults]]
    ///         path = "instance/service-accounts/"
    ///         client = "gl-python"      # a part of User-Agent or x-goog-api-client
    ///         times = 2                 # or for-seconds; or allowed and per-seconds; or probability, and seed if wanted
    ///         fault = { kind = "status", code = 429, retry-after = 1 }
    ///
    ///         [[events]]
    ///         event = { kind = "preempt", notice-seconds = 30 }
    ///         in-seconds = 60           # or at = "2030-01-01T00:00:00Z"; without, at once
    ///         repeat = 2
    ///         client = "10.0.0.0/8"     # or a part of User-Agent or x-goog-api-client
    ///     "#)
    ///     .start()?;
    /// # Ok::<(), gce_auth_emulator::StartError>(())
    /// ```
    ///
    /// The kinds of faults and events are those of the [control requests](crate#control-requests),
    /// with hyphens in their keys.
    pub fn plan(mut self, toml: impl Into<String>) -> Self {
        self.plans.push(TextSource::Text(toml.into()));
        self
    }

    /// Adds a [plan](Self::plan) from a file, read when the emulator starts.
    pub fn plan_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.plans.push(TextSource::File(path.into()));
        self
    }

    /// Refuses connections for this long after the start, on the emulator's clock, as a metadata
    /// server does that starts later than its pod. The ports are taken, but not listened on, so the
    /// system refuses.
    ///
    /// [`start`](Self::start) returns at once even so. No control request gets through in this
    /// time; [`Emulator::advance`](crate::Emulator::advance) ends it.
    pub fn refuse_for(mut self, time: Duration) -> Self {
        self.refuse = Some(time);
        self
    }
}
