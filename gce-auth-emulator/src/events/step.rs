//! What happens at one moment of an event.

use std::{fmt, time::Duration};

use crate::document::patch::Patch;

/// What happens at one moment.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Step {
    /// Since the beginning of the sequence.
    pub(crate) after: Duration,
    pub(crate) patches: Vec<Patch>,
    pub(crate) machine: Option<MachineStep>,
}

impl Step {
    pub(crate) fn at(after: Duration) -> Self {
        Self {
            after,
            patches: Vec::new(),
            machine: None,
        }
    }

    pub(crate) fn patch(mut self, patch: Patch) -> Self {
        self.patches.push(patch);
        self
    }

    pub(crate) fn machine(mut self, step: MachineStep) -> Self {
        self.machine = Some(step);
        self
    }

    /// What happens, in a few words each.
    pub(crate) fn describe(&self) -> Vec<String> {
        let patches = self.patches.iter().map(ToString::to_string);
        patches
            .chain(self.machine.as_ref().map(ToString::to_string))
            .collect()
    }
}

/// What happens to the machine itself in the course of a [`MachineEvent`](crate::MachineEvent).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MachineStep {
    /// The operating system begins to shut down, as by the ACPI power button: programs get
    /// `SIGTERM`.
    #[non_exhaustive]
    Stopping {
        /// How long programs have, until [`Ended`](Self::Ended).
        within: Duration,
    },
    /// The machine is gone, and every program on it. Its metadata server closes connections
    /// unanswered.
    Ended,
    /// The machine is there again, as it was before.
    Restarted,
    /// The machine stood still, and its clock jumps ahead.
    #[non_exhaustive]
    ClockJumped {
        /// How far.
        by: Duration,
    },
}

impl fmt::Display for MachineStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stopping { within } => {
                write!(
                    f,
                    "the machine shuts down within {} s",
                    within.as_secs_f64()
                )
            }
            Self::Ended => f.write_str("the machine ends"),
            Self::Restarted => f.write_str("the machine starts again"),
            Self::ClockJumped { by } => write!(f, "the clock jumps by {} s", by.as_secs_f64()),
        }
    }
}
