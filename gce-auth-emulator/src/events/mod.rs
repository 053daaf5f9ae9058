//! What happens to a machine: each event as a sequence of steps, when it is played, and how it is
//! written down.

pub(crate) mod event_config;
mod event_json;
pub(crate) mod events_queue;
mod machine_event;
mod schedule;
pub(crate) mod scheduler;
mod sequence;
pub(crate) mod step;

pub use machine_event::{MachineEvent, Maintenance, MaintenanceAction};
pub use schedule::{EventError, EventSchedule};
pub use scheduler::{EventState, EventStatus};
pub use step::MachineStep;
