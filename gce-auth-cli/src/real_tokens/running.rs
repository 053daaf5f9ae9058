//! The token commands that run, so that none outlives the emulator.

use std::{
    io,
    process::{Child, Command, ExitStatus},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// What the emulator's source of tokens and its owner share.
#[derive(Clone, Debug, Default)]
pub(crate) struct Running(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// The ids of commands that are not waited for yet, each that of a group, too.
    ids: Vec<u32>,
    ended: bool,
}

impl Running {
    /// Starts a command, unless the command is ending.
    pub(super) fn spawn(&self, command: &mut Command) -> io::Result<Child> {
        let mut state = self.state();
        if state.ended {
            return Err(io::Error::other("the emulator has ended"));
        }
        let child = command.spawn()?;
        state.ids.push(child.id());
        Ok(child)
    }

    /// Waits for the end of a command. Its id stays its own until it is forgotten here.
    pub(super) fn wait(&self, child: &mut Child) -> io::Result<ExitStatus> {
        let id = child.id();
        #[cfg(unix)]
        {
            use rustix::{
                io::Errno,
                process::{Pid, WaitId, WaitIdOptions, waitid},
            };
            let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
            let child = WaitId::Pid(Pid::from_child(child));
            while let Err(Errno::INTR) = waitid(child.clone(), options) {}
        }
        #[cfg(not(unix))]
        child.wait()?;
        let mut state = self.state();
        state.ids.retain(|known| *known != id);
        child.wait()
    }

    /// Ends a command and all that it started, if it is not over.
    pub(super) fn kill(&self, id: u32) {
        let state = self.state();
        if state.ids.contains(&id) {
            kill_group(id);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends all of them when it goes, and from then on none starts. It has to go after the emulator.
#[derive(Debug, Default)]
pub(crate) struct Commands(Running);

impl Commands {
    pub(crate) fn running(&self) -> Running {
        self.0.clone()
    }
}

impl Drop for Commands {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.ended = true;
        state.ids.iter().copied().for_each(kill_group);
    }
}

#[cfg(unix)]
fn kill_group(id: u32) {
    use rustix::process::{Pid, Signal, kill_process_group};
    if let Some(group) = i32::try_from(id).ok().and_then(Pid::from_raw) {
        let _ = kill_process_group(group, Signal::KILL);
    }
}

/// Elsewhere there are no groups to end.
#[cfg(not(unix))]
fn kill_group(_: u32) {}
