//! Signals that end this process, and signals passed on to a child.

use std::process::ExitStatus;

#[cfg(unix)]
pub(crate) use unix::{
    Commands, Ending, Program, Signalled, Supervisor, adopt_orphans, is_init, run, run_as,
    run_as_init,
};

#[cfg(unix)]
mod unix {
    use std::{
        fs, io,
        os::unix::process::ExitStatusExt as _,
        process::{Child, Command, ExitStatus},
        sync::{Arc, Mutex, MutexGuard, PoisonError},
    };

    use rustix::process::{Pid, Signal, WaitOptions, getpid, kill_process, wait};
    use signal_hook::{
        consts::{SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2},
        iterator::{SignalsInfo, exfiltrator::WithOrigin},
        low_level::siginfo::{Cause, Origin},
    };

    /// Waits until the process is asked to end.
    #[derive(Debug)]
    pub(crate) struct Ending(SignalsInfo);

    impl Ending {
        /// Takes over the signals that end a process. Leaves `SIGHUP` to `nohup`, which ignores it.
        pub(crate) fn new() -> io::Result<Self> {
            let hang_up = (!is_ignored(SIGHUP)).then_some(SIGHUP);
            SignalsInfo::new([SIGINT, SIGTERM].into_iter().chain(hang_up)).map(Self)
        }

        pub(crate) fn wait(&mut self) {
            self.0.forever().next();
        }
    }

    /// What a signal asks a server for.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) enum Signalled {
        /// `SIGHUP`
        Reload,
        /// `SIGUSR1`
        Flush,
        /// `SIGTERM` or `SIGINT`
        End,
    }

    /// Takes over the signals that a server is commanded by.
    #[derive(Debug)]
    pub(crate) struct Commands(SignalsInfo);

    impl Commands {
        pub(crate) fn new() -> io::Result<Self> {
            SignalsInfo::new([SIGINT, SIGTERM, SIGHUP, SIGUSR1]).map(Self)
        }

        pub(crate) fn next(&mut self) -> Signalled {
            match self.0.forever().next() {
                Some(SIGHUP) => Signalled::Reload,
                Some(SIGUSR1) => Signalled::Flush,
                _ => Signalled::End,
            }
        }
    }

    /// Runs a program to its end, and passes signals on to it.
    pub(crate) fn run(command: &mut Command) -> io::Result<ExitStatus> {
        run_as(&Program::default(), command)
    }

    /// Runs a program to its end as [`run`] does; others may signal it meanwhile.
    pub(crate) fn run_as(program: &Program, command: &mut Command) -> io::Result<ExitStatus> {
        let supervisor = Supervisor::new()?;
        supervisor.wait(command.spawn()?, program)
    }

    /// A program that other threads may signal until it was waited for.
    #[derive(Clone, Debug, Default)]
    pub(crate) struct Program(Arc<Mutex<Running>>);

    #[derive(Debug, Default)]
    struct Running {
        child: Option<Child>,
        /// What came before its start.
        early: Option<Signal>,
    }

    impl Program {
        /// Sends `SIGTERM`.
        pub(crate) fn terminate(&self) {
            self.signal(Signal::TERM);
        }

        /// Sends `SIGKILL`.
        pub(crate) fn kill(&self) {
            self.signal(Signal::KILL);
        }

        fn signal(&self, signal: Signal) {
            let mut running = self.lock();
            match &running.child {
                Some(child) => send(child, signal),
                None => running.early = Some(signal),
            }
        }

        fn start(&self, child: Child) {
            let mut running = self.lock();
            if let Some(signal) = running.early.take() {
                send(&child, signal);
            }
            running.child = Some(child);
        }

        fn pass_on(&self, origin: &Origin) {
            if let Some(child) = &self.lock().child {
                pass_on(origin, child);
            }
        }

        /// Its status, once it ended. After that it gets no signal: its id may be another's.
        fn try_wait(&self) -> io::Result<Option<ExitStatus>> {
            let mut running = self.lock();
            let status = match &mut running.child {
                Some(child) => child.try_wait()?,
                None => None,
            };
            if status.is_some() {
                running.child = None;
            }
            Ok(status)
        }

        fn lock(&self) -> MutexGuard<'_, Running> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner)
        }
    }

    /// Takes over signals for a program that is about to start. Signals that are ignored stay
    /// ignored, as the program inherits that.
    #[derive(Debug)]
    pub(crate) struct Supervisor(SignalsInfo<WithOrigin>);

    impl Supervisor {
        pub(crate) fn new() -> io::Result<Self> {
            let passed_on = [SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2];
            let watched = passed_on.into_iter().filter(|signal| !is_ignored(*signal));
            SignalsInfo::new(watched.chain([SIGCHLD])).map(Self)
        }

        /// Waits for the end of the program, and passes signals on to it, also those that came
        /// before.
        pub(crate) fn wait(mut self, child: Child, program: &Program) -> io::Result<ExitStatus> {
            program.start(child);
            for origin in &mut self.0 {
                if origin.signal != SIGCHLD {
                    program.pass_on(&origin);
                } else if let Some(status) = program.try_wait()? {
                    return Ok(status);
                }
            }
            Err(io::Error::other("signals cannot be received"))
        }
    }

    /// Returns whether this process is the first of its container, to which orphans fall.
    pub(crate) fn is_init() -> bool {
        getpid().is_init()
    }

    /// Becomes the parent of descendants whose own parent ends, as the first process of a container
    /// is (prctl(2), `PR_SET_CHILD_SUBREAPER`).
    pub(crate) fn adopt_orphans() -> io::Result<()> {
        #[cfg(any(target_os = "linux", target_os = "android"))]
        rustix::process::set_child_subreaper(Some(getpid()))?;
        Ok(())
    }

    /// Runs a program to its end as [`run`] does, and reaps all other processes that end before it.
    /// The process must have no other children of its own.
    pub(crate) fn run_as_init(command: &mut Command) -> io::Result<ExitStatus> {
        let passed_on = [SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2];
        let mut signals = SignalsInfo::<WithOrigin>::new(passed_on.into_iter().chain([SIGCHLD]))?;
        let child = command.spawn()?;
        let main = Pid::from_child(&child);
        for origin in &mut signals {
            if origin.signal != SIGCHLD {
                pass_on(&origin, &child);
                continue;
            }
            // One signal may stand for several processes.
            while let Some((ended, status)) = wait(WaitOptions::NOHANG)? {
                if ended == main {
                    return Ok(ExitStatus::from_raw(status.as_raw()));
                }
            }
        }
        Err(io::Error::other("signals cannot be received"))
    }

    /// Returns whether this process was started with a signal ignored; `false` where the system
    /// does not tell.
    fn is_ignored(signal: i32) -> bool {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let mask = status
            .lines()
            .find_map(|line| line.strip_prefix("SigIgn:"))
            .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
        mask.is_some_and(|mask| mask >> (signal - 1) & 1 == 1)
    }

    /// What a terminal sends reaches the child by itself, as one of the group; but only the leader
    /// of the session learns of the terminal's end, which may be this process.
    fn pass_on(origin: &Origin, child: &Child) {
        if origin.cause == Cause::Kernel && origin.signal != SIGHUP {
            return;
        }
        if let Some(signal) = Signal::from_named_raw(origin.signal) {
            send(child, signal);
        }
    }

    /// Signals a child that is not waited for yet, so that the id is still its own.
    fn send(child: &Child, signal: Signal) {
        let _ = kill_process(Pid::from_child(child), signal);
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

    /// Runs a program to its end.
    pub(crate) fn run_as(_: &Program, command: &mut Command) -> io::Result<ExitStatus> {
        run(command)
    }

    /// A program that has no signals.
    #[derive(Clone, Debug, Default)]
    pub(crate) struct Program;

    #[expect(clippy::unused_self, reason = "as on Unix")]
    impl Program {
        pub(crate) fn terminate(&self) {}

        pub(crate) fn kill(&self) {}
    }

    /// No process gets the orphans of others.
    pub(crate) fn adopt_orphans() -> io::Result<()> {
        Ok(())
    }

    /// No process gets the orphans of others.
    pub(crate) fn is_init() -> bool {
        false
    }

    pub(crate) fn run_as_init(command: &mut Command) -> io::Result<ExitStatus> {
        run(command)
    }
}

#[cfg(not(unix))]
pub(crate) use elsewhere::{Ending, Program, adopt_orphans, is_init, run, run_as, run_as_init};

/// Returns the exit code of a program, as a shell does: 128 plus the number of the signal that
/// ended it.
pub(crate) fn code(status: ExitStatus) -> u8 {
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        return u8::try_from(128 + signal).unwrap_or(u8::MAX);
    }
    status
        .code()
        .map_or(u8::MAX, |code| u8::try_from(code & 0xff).unwrap_or(u8::MAX))
}
