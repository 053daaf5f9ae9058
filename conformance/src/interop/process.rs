//! A child process with an end in sight.

use std::{
    convert::Infallible,
    io::{ErrorKind, Read},
    process::{Command, Stdio},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        mpsc::{self, RecvTimeoutError, Sender},
    },
    thread,
    time::Duration,
};

use super::Failure;

/// Runs `command` without input and gives its standard output, or fails with its standard error.
///
/// A program that is not done after `limit` is killed.
pub(super) fn finish(command: &mut Command, limit: Duration) -> Result<String, Failure> {
    let program = command.get_program().to_string_lossy().into_owned();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| Failure::new(format!("{program}: {error}")))?;

    let (done, ended) = mpsc::channel();
    let stdout = child.stdout.take().map(|pipe| drain(pipe, done.clone()));
    let stderr = child.stderr.take().map(|pipe| drain(pipe, done));

    // Nothing is ever sent: the channel closes when both pipes have, at the program's end.
    let in_time = ended.recv_timeout(limit) == Err(RecvTimeoutError::Disconnected);
    if !in_time {
        let _ = child.kill();
    }
    let status = child
        .wait()
        .map_err(|error| Failure::new(format!("{program}: {error}")))?;
    let [stdout, stderr] =
        [stdout, stderr].map(|pipe| pipe.as_deref().map(text).unwrap_or_default());

    if !in_time {
        return Err(Failure::new(format!(
            "{program}: not done after {limit:?}, killed\n{stdout}{stderr}"
        )));
    }
    if !status.success() {
        return Err(Failure::new(format!(
            "{program}: {status}\n{stdout}{stderr}"
        )));
    }
    Ok(stdout)
}

/// Reads a pipe to its end on a thread of its own, so that neither pipe can fill up; holds `done`
/// for as long. Gives what the pipe has carried so far.
fn drain(mut pipe: impl Read + Send + 'static, done: Sender<Infallible>) -> Arc<Mutex<Vec<u8>>> {
    let carried = Arc::default();
    let sink = Arc::clone(&carried);
    thread::spawn(move || {
        let mut chunk = [0; 8192];
        loop {
            match pipe.read(&mut chunk) {
                Ok(length @ 1..) => lock(&sink).extend_from_slice(&chunk[..length]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Ok(0) | Err(_) => break,
            }
        }
        drop(done);
    });
    carried
}

fn text(carried: &Mutex<Vec<u8>>) -> String {
    String::from_utf8_lossy(&lock(carried)).into_owned()
}

fn lock(carried: &Mutex<Vec<u8>>) -> MutexGuard<'_, Vec<u8>> {
    carried.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn shell(script: &str, limit: Duration) -> Result<String, Failure> {
        finish(Command::new("sh").args(["-c", script]), limit)
    }

    #[test]
    fn gives_standard_output() {
        let output = shell("echo out; echo err >&2", Duration::from_secs(20)).unwrap();
        assert_eq!(output, "out\n");
    }

    #[test]
    fn a_failure_carries_standard_error() {
        let failure = shell("echo why >&2; exit 3", Duration::from_secs(20)).unwrap_err();
        assert!(failure.to_string().contains("why"), "{failure}");
    }

    #[test]
    fn what_does_not_end_is_killed() {
        let failure = shell("echo begun; sleep 20", Duration::from_secs(1)).unwrap_err();
        let message = failure.to_string();
        assert!(message.contains("not done after"), "{message}");
        assert!(message.contains("begun"), "{message}");
    }

    #[test]
    fn a_missing_program_is_named() {
        let failure = finish(&mut Command::new("no-such-program"), Duration::from_secs(1));
        assert!(failure.unwrap_err().to_string().contains("no-such-program"));
    }
}
