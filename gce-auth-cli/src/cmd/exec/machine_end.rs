//! The end of the machine, for the program that runs on it.

use gce_auth_emulator::{EmulatorBuilder, Event, MachineStep};

use crate::signals::Program;

/// Ends a program as the emulated machine ends: with `SIGTERM` when the machine shuts down, and
/// with `SIGKILL` when it is gone. Events of some clients only are no end of the machine.
pub(super) fn ends(program: &Program, builder: EmulatorBuilder) -> EmulatorBuilder {
    let program = program.clone();
    builder.on_event(move |event| {
        if let Event::Machine {
            step: Some(step),
            client: None,
            ..
        } = event
        {
            match step {
                MachineStep::Stopping { .. } => program.terminate(),
                MachineStep::Ended => program.kill(),
                _ => {}
            }
        }
    })
}
