//! Programs that are run for what they print: without a shell, bounded in time
//! and in output.

use std::{
    io::{self, Read as _},
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::Duration,
};

use zeroize::Zeroizing;

use crate::{
    io::clock::{Clock as _, SystemClock},
    values::error::{Error, ErrorKind},
};

/// The longest output that is read, in bytes.
const LONGEST: usize = 256 * 1024;
/// How often a running program is looked at.
const TICK: Duration = Duration::from_millis(5);

/// What a look counts at most, on a machine that is busy.
const LONGEST_TICK: Duration = Duration::from_secs(1);

/// What becomes of a program's standard error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Errors {
    /// It stands after the standard output.
    Read,
    Dropped,
}

/// Runs `command`, the program and its arguments, with `variables` added to the
/// environment, and returns what it prints. Its standard input is empty. Its time
/// is real time.
pub(crate) fn run(
    command: &[String],
    variables: &[(&str, &str)],
    timeout: Duration,
    errors: Errors,
) -> Result<Zeroizing<Vec<u8>>, Error> {
    let Some((program, arguments)) = command.split_first() else {
        return Err(failed("an empty command", "cannot be run"));
    };
    let mut ready = Command::new(program);
    ready
        .args(arguments)
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(match errors {
            Errors::Read => Stdio::piped(),
            Errors::Dropped => Stdio::null(),
        });
    // Its children end with it.
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut ready, 0);
    let child = ready
        .spawn()
        .map_err(|error| failed(program, &format!("cannot be run: {error}")))?;
    let mut running = Running(Some(child));
    let outcome = running.finish(program, timeout);
    running.end();
    outcome
}

/// A program that is killed when it is dropped before its end.
struct Running(Option<Child>);

impl Running {
    fn finish(&mut self, program: &str, timeout: Duration) -> Result<Zeroizing<Vec<u8>>, Error> {
        let late = || {
            let seconds = timeout.as_secs();
            failed(
                program,
                &format!("took longer than {seconds} s, and was killed"),
            )
        };
        let lost = || failed(program, "printed nothing that could be read");
        let long = || failed(program, "printed more than 256 KiB");
        let child = self.0.as_mut().ok_or_else(lost)?;
        let stdout = child.stdout.take().ok_or_else(lost)?;
        let stderr = child.stderr.take();
        let (sender, printed) = mpsc::channel();
        if let Some(stderr) = stderr {
            read(1, stderr, sender.clone()).map_err(|_| lost())?;
        }
        read(0, stdout, sender).map_err(|_| lost())?;
        let mut parts = [None, None];
        let mut left = Left::new(timeout);
        // Ends when both are read.
        loop {
            match printed.recv_timeout(TICK) {
                Ok((_, Ok(bytes))) if bytes.len() > LONGEST => return Err(long()),
                Ok((place, read)) => parts[place] = Some(read.map_err(|_| lost())?),
                Err(RecvTimeoutError::Timeout) if left.is_over(now()) => return Err(late()),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        let [Some(mut bytes), errors] = parts else {
            return Err(lost());
        };
        if let Some(errors) = errors {
            // There is room for both.
            bytes.extend_from_slice(&errors);
        }
        if bytes.len() > LONGEST {
            return Err(long());
        }
        let status = exit(child, left).ok_or_else(late)?;
        if !status.success() {
            let how = match status.code() {
                Some(code) => format!("failed with exit code {code}"),
                None => "was killed".to_owned(),
            };
            return Err(failed(program, &how));
        }
        self.0 = None;
        Ok(bytes)
    }

    fn end(&mut self) {
        let Some(mut child) = self.0.take() else {
            return;
        };
        #[cfg(unix)]
        if let Some(group) = i32::try_from(child.id())
            .ok()
            .and_then(rustix::process::Pid::from_raw)
        {
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
        let _ = child.kill();
        let _ = child.wait();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end();
    }
}

/// The time that a program has left, by the boot clock.
struct Left {
    left: Duration,
    seen: Duration,
}

impl Left {
    fn new(left: Duration) -> Self {
        Self { left, seen: now() }
    }

    /// Whether it is over at `now`. Where no caller looked for long, this machine
    /// was suspended or this process stopped, which is no time of the program's.
    fn is_over(&mut self, now: Duration) -> bool {
        let passed = now.saturating_sub(self.seen).min(LONGEST_TICK);
        self.seen = now;
        self.left = self.left.saturating_sub(passed);
        self.left.is_zero()
    }
}

fn now() -> Duration {
    SystemClock::new().now().boot
}

type Read = io::Result<Zeroizing<Vec<u8>>>;

/// Reads a pipe in a thread of its own, and sends what it holds when it ends.
fn read(
    place: usize,
    pipe: impl io::Read + Send + 'static,
    done: mpsc::Sender<(usize, Read)>,
) -> io::Result<()> {
    let reader = thread::Builder::new().name("gce-auth-executable".to_owned());
    reader.spawn(move || {
        // Nothing is moved while it grows, also when standard error follows.
        let mut bytes = Zeroizing::new(Vec::with_capacity(2 * LONGEST + 2));
        let read = pipe.take(LONGEST as u64 + 1).read_to_end(&mut bytes);
        let _ = done.send((place, read.map(|_| bytes)));
    })?;
    Ok(())
}

/// Waits for a program that has closed its output.
fn exit(child: &mut Child, mut left: Left) -> Option<ExitStatus> {
    // Nothing is ever sent: a wait in real time, whatever the clock is.
    let (_sender, never) = mpsc::channel::<()>();
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Some(status),
            Ok(None) if !left.is_over(now()) => {
                let _ = never.recv_timeout(TICK);
            }
            Ok(None) | Err(_) => return None,
        }
    }
}

fn failed(program: &str, how: &str) -> Error {
    let program = program.escape_debug();
    Error::new(
        ErrorKind::Refused,
        format!("the executable `{program}` {how}"),
    )
    .with_hint("run the executable of the credentials file by hand to see what it says")
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use crate::world::Folder;

    fn shell(script: &str, timeout: Duration) -> Result<Vec<u8>, Error> {
        shell_with(script, timeout, Errors::Dropped)
    }

    fn shell_with(script: &str, timeout: Duration, errors: Errors) -> Result<Vec<u8>, Error> {
        let command = ["/bin/sh", "-c", script].map(str::to_owned);
        run(&command, &[("GREETING", "hello")], timeout, errors).map(|bytes| bytes.to_vec())
    }

    const LONG: Duration = Duration::from_secs(30);

    #[test]
    fn a_program_is_told_and_prints() {
        let printed = shell("printf '%s' \"$GREETING\"; echo no >&2; cat", LONG);
        assert_eq!(printed.unwrap(), b"hello");
    }

    #[test]
    fn standard_error_is_read_with_what_is_printed() {
        let script = "echo first >&2; echo second; echo third >&2";
        let read = shell_with(script, LONG, Errors::Read).unwrap();
        assert_eq!(read, b"second\nfirst\nthird\n");
        assert_eq!(shell(script, LONG).unwrap(), b"second\n");
        let endless = "ulimit -t 60; trap '' PIPE; while :; do echo 0123456789012345678901234567890 >&2; done";
        let error = shell_with(endless, LONG, Errors::Read).unwrap_err();
        assert!(error.to_string().contains("256 KiB"), "{error}");
    }

    #[test]
    fn output_may_be_as_long_as_the_limit_and_no_longer() {
        for (out, error, read) in [
            (LONGEST, 0, Some(LONGEST)),
            (LONGEST - 3, 3, Some(LONGEST)),
            (LONGEST - 2, 3, None),
            (LONGEST + 1, 0, None),
        ] {
            let script = format!("head -c {out} /dev/zero; head -c {error} /dev/zero >&2");
            let printed = shell_with(&script, LONG, Errors::Read).map(|bytes| bytes.len());
            match printed {
                Err(error) if read.is_none() => {
                    assert!(error.to_string().contains("256 KiB"), "{error}");
                }
                printed => assert_eq!(printed.ok(), read, "{out} and {error}"),
            }
        }
    }

    #[test]
    fn a_program_that_is_let_go_is_killed() {
        let mut ready = Command::new("/bin/sh");
        ready
            .args(["-c", "sleep 60; echo late"])
            .stdout(Stdio::piped());
        std::os::unix::process::CommandExt::process_group(&mut ready, 0);
        let mut child = ready.spawn().unwrap();
        let printed = child.stdout.take().unwrap();
        drop(Running(Some(child)));
        // Ends when every process that has the pipe open has ended.
        assert_eq!(io::read_to_string(printed).unwrap(), "");
    }

    #[test]
    fn a_program_that_fails_says_how() {
        for (script, how) in [
            ("exit 3", "failed with exit code 3"),
            ("kill -9 $$", "was killed"),
            (
                "ulimit -t 60; while :; do printf '%s' 0123456789012345678901234567890123456789; done",
                "256 KiB",
            ),
        ] {
            let error = shell(script, LONG).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Refused);
            assert!(error.to_string().contains(how), "{error}");
        }
        let missing = run(&["/nonexistent/x".to_owned()], &[], LONG, Errors::Read).unwrap_err();
        assert!(missing.to_string().contains("cannot be run"), "{missing}");
        assert!(run(&[], &[], LONG, Errors::Read).is_err());
    }

    #[test]
    fn a_program_that_takes_too_long_is_killed_with_its_children() {
        let folder = Folder::new();
        let pipe = folder.join("late");
        let made = Command::new("mkfifo").arg(&pipe).status().unwrap();
        assert!(made.success());
        // Reads until every process that has the pipe open has ended.
        let reader = thread::spawn({
            let pipe = pipe.clone();
            move || std::fs::read_to_string(pipe).unwrap()
        });
        let script = format!("(sleep 60; echo late) > {} & wait", pipe.display());
        let error = shell(&script, Duration::from_secs(2)).unwrap_err();
        assert!(error.to_string().contains("longer than 2 s"), "{error}");
        assert_eq!(reader.join().unwrap(), "");
    }

    #[test]
    fn a_program_that_closes_its_output_is_waited_for_and_no_longer() {
        let error = shell("exec >&-; sleep 60", Duration::from_millis(50)).unwrap_err();
        assert!(error.to_string().contains("was killed"), "{error}");
        assert!(shell("exec >&-", LONG).unwrap().is_empty());
    }

    #[test]
    fn time_passes_on_a_busy_machine_and_not_on_one_that_sleeps() {
        let mut left = Left::new(Duration::from_secs(5));
        let start = left.seen;
        // Looks that come late, as on a busy machine.
        for tenths in (1..=49).step_by(4) {
            assert!(!left.is_over(start + Duration::from_millis(tenths * 100)));
        }
        let mut asleep = Left::new(Duration::from_secs(5));
        assert!(!asleep.is_over(start + Duration::from_secs(3600)));
        assert!(left.is_over(start + Duration::from_millis(5001)));
    }
}
