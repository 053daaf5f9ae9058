//! Runs a helper without asking it for a token.

use std::{
    io::{self, BufRead, BufReader, Read},
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use crate::{helper::names::FLAGS, install::tool::Tool};

/// How long a helper may take.
pub(super) const LIMIT: Duration = Duration::from_secs(10);
/// What is read of its first complaint, in bytes.
const LONGEST: u64 = 200;
/// How long the line of a helper that has ended may be on its way.
const ON_ITS_WAY: Duration = Duration::from_secs(1);

/// Returns the call that tells whether a helper runs. `None` for keyring, which would pass on what it
/// is not asked for.
pub(super) fn command(tool: Tool, program: &Path) -> Option<Command> {
    let arguments: &[&str] = match tool {
        Tool::Docker => &["version"],
        Tool::Keyring => return None,
        Tool::Kubectl | Tool::Kubelet | Tool::Bazel => &["--help"],
        Tool::Git => &["helper", "git", "store"],
        Tool::Cargo => &["helper", "cargo"],
        Tool::Goauth => &["helper", "goauth", "--help"],
    };
    let mut command = Command::new(program);
    // Options for helpers are not the doctor's to judge.
    command.args(arguments).env_remove(FLAGS);
    Some(command)
}

/// Runs it to its end, or ends it after `limit`. Fails with the reason why it does not run: the first
/// line of its standard error, if it has one.
pub(super) fn run(mut command: Command, limit: Duration) -> Result<(), String> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| error.to_string())?;
    let (first, said) = mpsc::channel();
    let (done, ended) = mpsc::channel();
    watch(&child, done.clone());
    if let Some(pipe) = child.stderr.take() {
        thread::spawn(move || {
            let mut pipe = BufReader::new(pipe);
            let mut line = Vec::new();
            let _ = pipe.by_ref().take(LONGEST).read_until(b'\n', &mut line);
            let _ = first.send(String::from_utf8_lossy(&line).trim().to_owned());
            // It may write more, and a full pipe would block it.
            let _ = io::copy(&mut pipe, &mut io::sink());
            drop(done);
        });
    }
    // Without a message all senders are gone: it has closed its end.
    if ended.recv_timeout(limit) == Err(mpsc::RecvTimeoutError::Timeout) {
        let _ = child.kill();
        let _ = child.wait();
        return Err(format!("it did not end within {} s", limit.as_secs_f64()));
    }
    let status = child.wait().map_err(|error| error.to_string())?;
    if status.success() {
        return Ok(());
    }
    // A program that it left behind may hold the pipe.
    match said.recv_timeout(ON_ITS_WAY) {
        Ok(line) if !line.is_empty() => Err(line),
        _ => Err(status.to_string()),
    }
}

/// Sends a message when the child has ended, and leaves it to be waited for.
#[cfg(all(unix, not(target_os = "openbsd")))]
fn watch(child: &Child, done: mpsc::Sender<()>) {
    use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};
    let id = WaitId::Pid(Pid::from_child(child));
    thread::spawn(move || {
        let ended = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        let _ = rustix::io::retry_on_intr(|| waitid(id.clone(), ended));
        let _ = done.send(());
    });
}

/// Elsewhere the end of its standard error tells.
#[cfg(not(all(unix, not(target_os = "openbsd"))))]
fn watch(_child: &Child, _done: mpsc::Sender<()>) {}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use crate::clock::Timer;

    fn shell(script: &str, limit: Duration) -> Result<(), String> {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        run(command, limit)
    }

    #[test]
    fn the_reason_is_what_it_says_first() {
        assert_eq!(shell("echo fine >&2", LIMIT), Ok(()));
        let said = shell("echo 'no such option' >&2; echo more >&2; exit 2", LIMIT);
        assert_eq!(said, Err("no such option".to_owned()));
        assert_eq!(shell("exit 3", LIMIT), Err("exit status: 3".to_owned()));
        let absent = run(Command::new("/no/such/program"), LIMIT).unwrap_err();
        assert!(absent.contains("No such file"), "{absent}");
        let long = "head -c 300000 /dev/zero | tr '\\0' x >&2; exit 1";
        assert_eq!(shell(long, LIMIT), Err("x".repeat(200)));
    }

    #[test]
    fn a_program_that_hangs_is_ended_and_one_left_behind_is_not_waited_for() {
        let timer = Timer::start();
        let said = shell("exec sleep 60", Duration::from_millis(50)).unwrap_err();
        assert_eq!(said, "it did not end within 0.05 s");
        let said = shell("exec 2>&-; exec sleep 60", Duration::from_millis(50));
        assert!(said.is_err());
        assert_eq!(shell("sleep 15 & exit 0", LIMIT), Ok(()));
        assert!(timer.elapsed() < LIMIT);
    }

    #[test]
    fn options_for_helpers_are_not_passed_on() {
        let command = command(Tool::Docker, Path::new("/p")).unwrap();
        assert!(command.get_envs().any(|set| set == (FLAGS.as_ref(), None)));
        assert!(super::command(Tool::Keyring, Path::new("/p")).is_none());
    }
}
