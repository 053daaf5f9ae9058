//! Signals that end this process, and signals passed on to a child.

use std::process::ExitStatus;

#[cfg(unix)]
pub(crate) use unix::{Ending, run};

#[cfg(unix)]
mod unix {
    use std::{
        io,
        process::{Child, Command, ExitStatus},
    };

    use rustix::process::{Pid, Signal, kill_process};
    use signal_hook::{
        consts::{SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2},
        iterator::{SignalsInfo, exfiltrator::WithOrigin},
        low_level::siginfo::{Cause, Origin},
    };

    /// Waits until the process is asked to end.
    #[derive(Debug)]
    pub(crate) struct Ending(SignalsInfo);

    impl Ending {
        /// From now on signals do not end the process by themselves.
        pub(crate) fn new() -> io::Result<Self> {
            SignalsInfo::new([SIGHUP, SIGINT, SIGTERM]).map(Self)
        }

        pub(crate) fn wait(&mut self) {
            self.0.forever().next();
        }
    }

    /// Runs a program to its end; signals that reach this process go on to it.
    pub(crate) fn run(command: &mut Command) -> io::Result<ExitStatus> {
        let watched = [SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2];
        let mut signals = SignalsInfo::<WithOrigin>::new(watched)?;
        let mut child = command.spawn()?;
        for origin in &mut signals {
            if origin.signal != SIGCHLD {
                pass_on(&origin, &child);
            } else if let Some(status) = child.try_wait()? {
                return Ok(status);
            }
        }
        child.wait()
    }

    /// What a terminal sends reaches the child by itself, as one of the group; but of the terminal's
    /// end the leader of the session alone is told, which may be this process.
    fn pass_on(origin: &Origin, child: &Child) {
        if origin.cause == Cause::Kernel && origin.signal != SIGHUP {
            return;
        }
        if let Some(signal) = Signal::from_named_raw(origin.signal) {
            // The child is not waited for yet, so the id is still its own.
            let _ = kill_process(Pid::from_child(child), signal);
        }
    }
}

#[cfg(not(unix))]
mod elsewhere {
    use std::{
        io,
        process::{Command, ExitStatus},
    };

    /// Waits until the process is ended.
    #[derive(Debug)]
    pub(crate) struct Ending;

    impl Ending {
        pub(crate) fn new() -> io::Result<Self> {
            Ok(Self)
        }

        #[expect(clippy::unused_self, reason = "as on Unix")]
        pub(crate) fn wait(&mut self) {
            loop {
                std::thread::park();
            }
        }
    }

    /// Runs a program to its end.
    pub(crate) fn run(command: &mut Command) -> io::Result<ExitStatus> {
        command.spawn()?.wait()
    }
}

#[cfg(not(unix))]
pub(crate) use elsewhere::{Ending, run};

/// Returns the exit code of a program, as a shell does: 128 plus the number of the signal that ended
/// it.
pub(crate) fn code(status: ExitStatus) -> u8 {
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        return u8::try_from(128 + signal).unwrap_or(u8::MAX);
    }
    status
        .code()
        .map_or(u8::MAX, |code| u8::try_from(code & 0xff).unwrap_or(u8::MAX))
}
