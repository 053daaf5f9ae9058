//! The emulator's settings from variables and from a file, as `emulate` has them.

use std::ffi::OsString;

use clap::Command;

use crate::{
    cmd::emulate,
    env,
    exit::Failure,
    options::{
        EmulatorArgs,
        settings::{self, Runs},
    },
    real_tokens::RealTokenArgs,
};

/// The settings of the emulator, by their ids.
fn of_emulator() -> Vec<String> {
    use clap::Args as _;
    let command = EmulatorArgs::augment_args(Command::new("exec"));
    let command = RealTokenArgs::augment_args(command);
    let ids = command.get_arguments().map(|arg| arg.get_id().to_string());
    ids.collect()
}

/// Gives each setting of the emulator a variable.
pub(super) fn with_variables(command: Command) -> Command {
    settings::with_variables_of(command, &of_emulator())
}

/// Returns arguments of this command with the settings of the file that a variable names, if it
/// starts an emulator.
pub(super) fn with_config(
    command: impl FnOnce() -> Command,
    arguments: Vec<OsString>,
) -> Result<Vec<OsString>, Failure> {
    if settings::own("exec", &arguments).is_none() || without_emulator(&arguments) {
        return Ok(arguments);
    }
    let runs = Runs {
        name: "exec",
        command: &command(),
        file: Some(&emulate::command()),
    };
    runs.expand(arguments, env::var)
}

/// Returns whether these are arguments of `exec` that start no emulator. Variables of its settings
/// would contradict them.
pub(crate) fn without_emulator(arguments: &[OsString]) -> bool {
    let own = settings::own("exec", arguments);
    own.is_some_and(|own| {
        let mut words = arguments[own].iter();
        words.any(|word| word == "--real" || word == "--agent")
    })
}
