//! Tokens that a command of the user prints.

use std::{
    io::{self, Read},
    process::{Command, Output, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use super::{answer, running::Running};

/// How long the command may take.
pub(super) const LIMIT: Duration = Duration::from_secs(10);
/// What is read of its output, at most.
const LONGEST: u64 = 64 * 1024;
/// What is shown of its complaints: the last characters.
const SHOWN: usize = 2000;

/// The token that `command` prints, and how long it holds: `lifetime` if the
/// command does not say.
pub(super) fn token(
    command: &str,
    running: &Running,
    (email, scopes): (&str, &[String]),
    limit: Duration,
    lifetime: Duration,
) -> Result<(String, Duration), String> {
    let mut shell = shell(command);
    shell
        .env("GCE_AUTH_ACCOUNT", email)
        .env("GCE_AUTH_SCOPES", scopes.join(","))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let output = finish(&mut shell, running, limit)?;
    if !output.status.success() {
        let said = complaint(&output.stderr);
        return Err(format!("the token command failed, {}{said}", output.status));
    }
    let (token, stated) = String::from_utf8(output.stdout)
        .map_err(|_| "holds something else than a token".to_owned())
        .and_then(|text| answer::read(&text))
        .map_err(|why| {
            let said = complaint(&output.stderr);
            format!("the output of the token command {why}{said}")
        })?;
    Ok((token, stated.unwrap_or(lifetime)))
}

#[cfg(unix)]
fn shell(command: &str) -> Command {
    use std::os::unix::process::CommandExt;
    let mut shell = Command::new("/bin/sh");
    // A group of its own, so that all of it can be ended.
    shell.args(["-c", command]).process_group(0);
    shell
}

#[cfg(not(unix))]
fn shell(command: &str) -> Command {
    let mut shell = Command::new("cmd");
    shell.args(["/C", command]);
    shell
}

/// Runs it to its end, or ends it after `limit`.
fn finish(shell: &mut Command, running: &Running, limit: Duration) -> Result<Output, String> {
    let unable = |error: io::Error| format!("the token command cannot be run: {error}");
    let mut child = running.spawn(shell).map_err(unable)?;
    let id = child.id();
    let waiting = running.clone();
    let (done, ended) = mpsc::channel();
    thread::spawn(move || {
        let errors = child.stderr.take();
        let errors = thread::spawn(move || errors.map(tail).unwrap_or_default());
        let mut stdout = Vec::new();
        if let Some(pipe) = child.stdout.take() {
            // The rest finds the pipe closed.
            let _ = pipe.take(LONGEST).read_to_end(&mut stdout);
        }
        let output = waiting.wait(&mut child).map(|status| Output {
            status,
            stdout,
            stderr: errors.join().unwrap_or_default(),
        });
        // The receiver is gone if this took too long.
        let _ = done.send(output);
    });
    match ended.recv_timeout(limit) {
        Ok(output) => output.map_err(unable),
        Err(_) => {
            running.kill(id);
            let seconds = limit.as_secs_f64();
            Err(format!("the token command did not end within {seconds} s"))
        }
    }
}

/// The end of what is read, up to [`LONGEST`] bytes and a buffer's.
fn tail(mut pipe: impl Read) -> Vec<u8> {
    let mut kept = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(read @ 1..) = pipe.read(&mut buffer) {
        kept.extend_from_slice(buffer.get(..read).unwrap_or_default());
        if kept.len() as u64 > LONGEST {
            kept.drain(..kept.len() / 2);
        }
    }
    kept
}

/// What is passed on of what a command said on standard error.
fn complaint(stderr: &[u8]) -> String {
    let said = String::from_utf8_lossy(stderr);
    let said = said.trim();
    let skipped = said.chars().count().saturating_sub(SHOWN);
    let said: String = said.chars().skip(skipped).collect();
    if said.is_empty() {
        return String::new();
    }
    format!(": {said}")
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn run(command: &str, limit: Duration) -> Result<(String, Duration), String> {
        let scopes = ["a".to_owned(), "b".to_owned()];
        let running = Running::default();
        token(
            command,
            &running,
            ("me@x", &scopes),
            limit,
            Duration::from_secs(7),
        )
    }

    #[test]
    fn the_command_knows_for_whom_it_is_run() {
        let printed = run("echo $GCE_AUTH_ACCOUNT/$GCE_AUTH_SCOPES", LIMIT);
        assert_eq!(printed, Ok(("me@x/a,b".to_owned(), Duration::from_secs(7))));
    }

    #[test]
    fn a_failure_tells_what_the_command_said() {
        let why = run("echo secret; echo 'not logged in' >&2; exit 3", LIMIT);
        assert_eq!(
            why,
            Err("the token command failed, exit status: 3: not logged in".to_owned())
        );
        let why = run("echo hint >&2", LIMIT);
        assert_eq!(
            why,
            Err("the output of the token command holds no token: hint".to_owned())
        );
    }

    #[test]
    fn a_command_that_does_not_end_is_ended_with_all_it_started() {
        let (mut reader, writer) = io::pipe().unwrap();
        let mut shell = shell("tail -f /dev/null & tail -f /dev/null");
        shell
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(writer);
        let why =
            finish(&mut shell, &Running::default(), Duration::from_millis(50)).expect_err("no end");
        assert!(why.contains("did not end within 0.05 s"), "{why}");
        drop(shell);
        // Ends when the last of them is gone.
        assert_eq!(reader.read(&mut [0]).unwrap(), 0);
    }

    #[test]
    fn a_command_that_talks_without_end_is_not_listened_to() {
        let why = run("yes", LIMIT).expect_err("no token");
        assert!(why.starts_with("the token command failed"), "{why}");
        let long = "i=0; while [ $i -lt 3000 ]; do echo 0123456789012345678901234567890123456789; \
                    i=$((i+1)); done >&2; echo end >&2; exit 1";
        let why = run(long, LIMIT).expect_err("no token");
        assert!(why.ends_with("end") && why.len() < 2 * SHOWN, "{why}");
    }
}
