//! Programs that are run for what they print: without a shell, bounded in time
//! and in output.

use std::{
    io::Read as _,
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::Duration,
};

use zeroize::Zeroizing;

use crate::values::error::{Error, ErrorKind};

/// The longest output that is read, in bytes.
const LONGEST: usize = 256 * 1024;
/// How often a program that has printed everything is looked at for its end.
const TICK: Duration = Duration::from_millis(5);

/// Runs `command`, the program and its arguments, with `variables` added to the
/// environment, and returns what it prints. Its standard input is empty, and
/// what it prints on standard error is dropped. Its time is real time.
pub(crate) fn run(
    command: &[String],
    variables: &[(&str, &str)],
    timeout: Duration,
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
        .stderr(Stdio::null());
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
        let child = self.0.as_mut().ok_or_else(lost)?;
        let stdout = child.stdout.take().ok_or_else(lost)?;
        let (sender, printed) = mpsc::channel();
        let reader = thread::Builder::new().name("gce-auth-executable".to_owned());
        reader
            .spawn(move || {
                let mut bytes = Zeroizing::new(Vec::with_capacity(LONGEST + 1));
                let read = stdout.take(LONGEST as u64 + 1).read_to_end(&mut bytes);
                let _ = sender.send(read.map(|_| bytes));
            })
            .map_err(|_| lost())?;
        let bytes = match printed.recv_timeout(timeout) {
            Ok(read) => read.map_err(|_| lost())?,
            Err(RecvTimeoutError::Timeout) => return Err(late()),
            Err(RecvTimeoutError::Disconnected) => return Err(lost()),
        };
        if bytes.len() > LONGEST {
            return Err(failed(program, "printed more than 256 KiB"));
        }
        let status = exit(child, timeout).ok_or_else(late)?;
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

/// Waits for a program that has closed its output.
fn exit(child: &mut Child, timeout: Duration) -> Option<ExitStatus> {
    // Nothing is ever sent: a wait in real time, whatever the clock is.
    let (_sender, never) = mpsc::channel::<()>();
    let mut waited = Duration::ZERO;
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Some(status),
            Ok(None) if waited < timeout => {
                let _ = never.recv_timeout(TICK);
                waited = waited.saturating_add(TICK);
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

    fn shell(script: &str, timeout: Duration) -> Result<Vec<u8>, Error> {
        let command = ["/bin/sh", "-c", script].map(str::to_owned);
        run(&command, &[("GREETING", "hello")], timeout).map(|bytes| bytes.to_vec())
    }

    const LONG: Duration = Duration::from_secs(30);

    #[test]
    fn a_program_is_told_and_prints() {
        let printed = shell("printf '%s' \"$GREETING\"; echo no >&2; cat", LONG);
        assert_eq!(printed.unwrap(), b"hello");
    }

    #[test]
    fn a_program_that_fails_says_how() {
        for (script, how) in [
            ("exit 3", "failed with exit code 3"),
            ("kill -9 $$", "was killed"),
            (
                "while :; do printf '%s' 0123456789012345678901234567890123456789; done",
                "256 KiB",
            ),
        ] {
            let error = shell(script, LONG).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Refused);
            assert!(error.to_string().contains(how), "{error}");
        }
        let missing = run(&["/nonexistent/x".to_owned()], &[], LONG).unwrap_err();
        assert!(missing.to_string().contains("cannot be run"), "{missing}");
        assert!(run(&[], &[], LONG).is_err());
    }

    #[test]
    fn a_program_that_takes_too_long_is_killed_with_its_children() {
        let pipe = std::env::temp_dir().join(format!("gce-auth-late-{}", std::process::id()));
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
        let _ = std::fs::remove_file(&pipe);
    }

    #[test]
    fn a_program_that_closes_its_output_is_waited_for_and_no_longer() {
        let error = shell("exec >&-; sleep 60", Duration::from_millis(50)).unwrap_err();
        assert!(error.to_string().contains("was killed"), "{error}");
        assert!(shell("exec >&-", LONG).unwrap().is_empty());
    }
}
