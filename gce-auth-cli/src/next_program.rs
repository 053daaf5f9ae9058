//! Passes a call on to the next program of the same name on PATH.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use crate::{
    env,
    exit::{Exit, Failure},
};

/// Set for the next program, so that a script which calls this one back ends.
pub(crate) const PASSED: &str = "GCE_AUTH_HELPER_PASSED_ON";

/// Runs the next program of this name, and returns its exit code; 1 if there is none.
pub(crate) fn run_next(name: &str, arguments: &[OsString]) -> Result<ExitCode, Failure> {
    if env::var(PASSED).is_some() {
        return Ok(Exit::Failed.into());
    }
    let Some(program) = next(name) else {
        return Ok(Exit::Failed.into());
    };
    let mut command = Command::new(&program);
    command.args(arguments).env(PASSED, "1");
    replace(&mut command).map_err(|error| {
        let why = format!("cannot run {}: {error}", program.display());
        Failure::new(Exit::Failed, why)
    })
}

/// Finds the first program of this name on PATH that is not this one.
fn next(name: &str) -> Option<PathBuf> {
    let own = env::program().and_then(|path| path.canonicalize()).ok();
    on_path(name).find(|file| file.canonicalize().ok() != own)
}

/// Returns the programs of this name on PATH, in order.
pub(crate) fn on_path(name: &str) -> impl Iterator<Item = PathBuf> {
    let name = format!("{name}{}", std::env::consts::EXE_SUFFIX);
    let path = env::var("PATH").unwrap_or_default();
    let folders: Vec<_> = std::env::split_paths(&path).collect();
    folders
        .into_iter()
        // A relative entry is what the working directory happens to hold.
        .filter(|folder| folder.is_absolute())
        .map(move |folder| folder.join(&name))
        .filter(|file| is_program(file))
}

#[cfg(unix)]
fn is_program(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    file.metadata()
        .is_ok_and(|known| known.is_file() && known.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn is_program(file: &Path) -> bool {
    file.is_file()
}

/// Becomes the command.
#[cfg(unix)]
fn replace(command: &mut Command) -> std::io::Result<ExitCode> {
    use std::os::unix::process::CommandExt;
    Err(command.exec())
}

/// Runs the command to its end.
#[cfg(not(unix))]
fn replace(command: &mut Command) -> std::io::Result<ExitCode> {
    let code = command.status()?.code().unwrap_or(1);
    Ok(u8::try_from(code).unwrap_or(1).into())
}
