//! Asks a helper for credentials of a host that is not its own: its protocol answers, and no token
//! is fetched.

use std::{
    io::{self, Read, Write},
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use crate::{helper::names::FLAGS, install::tool::Tool, next_program::PASSED};

/// How long a helper may take.
pub(super) const LIMIT: Duration = Duration::from_secs(10);
/// What is read of an answer and of a complaint, in bytes.
const LONGEST: u64 = 4096;
/// What is shown of a complaint, in characters.
const SHOWN: usize = 200;
/// How long the output of a helper that has ended may be on its way.
const ON_ITS_WAY: Duration = Duration::from_secs(1);

/// The host of the questions, which no helper serves (RFC 6761).
const HOST: &str = "helper.invalid";

/// A call of a helper, and what it must say.
pub(super) struct Trial {
    command: Command,
    input: String,
    code: i32,
    /// Its whole standard output.
    says: &'static str,
    /// What its standard error must name.
    complains: &'static str,
}

impl Trial {
    /// Returns the call for the helper of a tool.
    pub(super) fn of(tool: Tool, program: &Path) -> Self {
        let mut command = Command::new(program);
        // Options for helpers are not the doctor's to judge.
        command.env_remove(FLAGS);
        let mut trial = Self {
            command,
            input: String::new(),
            code: 0,
            says: "",
            complains: "",
        };
        match tool {
            Tool::Docker => {
                trial.command.arg("get");
                trial.input = HOST.to_owned();
                (trial.code, trial.says) = (1, "credentials not found in native keychain\n");
            }
            Tool::Kubectl => {
                // Every question that it answers costs a token, so it gets a version that there is
                // not.
                let info =
                    r#"{"apiVersion":"client.authentication.k8s.io/v0","kind":"ExecCredential"}"#;
                trial.command.env("KUBERNETES_EXEC_INFO", info);
                (trial.code, trial.complains) = (2, "KUBERNETES_EXEC_INFO");
            }
            Tool::Kubelet => {
                trial.input = format!(
                    r#"{{"apiVersion":"credentialprovider.kubelet.k8s.io/v1","kind":"CredentialProviderRequest","image":"{HOST}/a"}}"#
                );
                trial.says = "{\"apiVersion\":\"credentialprovider.kubelet.k8s.io/v1\",\
                     \"kind\":\"CredentialProviderResponse\",\"cacheKeyType\":\"Registry\",\
                     \"cacheDuration\":\"0s\",\"auth\":{}}\n";
            }
            Tool::Git => {
                trial.command.args(["helper", "git", "get"]);
                trial.input = format!("protocol=https\nhost={HOST}\n\n");
            }
            Tool::Cargo => {
                trial.command.arg("--cargo-plugin");
                trial.input = format!(
                    "{{\"v\":1,\"kind\":\"get\",\"operation\":\"read\",\
                     \"registry\":{{\"index-url\":\"sparse+https://{HOST}/\"}}}}\n"
                );
                trial.says = "{\"v\":[1]}\n{\"Err\":{\"kind\":\"url-not-supported\"}}\n";
            }
            Tool::Goauth => {
                let url = format!("https://{HOST}/");
                trial.command.args(["helper", "goauth", &url]);
            }
            Tool::Bazel => {
                trial.command.arg("get");
                trial.input = format!("{{\"uri\":\"https://{HOST}/\"}}");
                (trial.code, trial.complains) = (6, HOST);
            }
            Tool::Keyring => {
                let url = format!("https://{HOST}/");
                trial.command.args(["get", &url, "oauth2accesstoken"]);
                // The next keyring is not asked.
                trial.command.env(PASSED, "1");
                trial.code = 1;
            }
        }
        trial
    }

    /// Runs it to its end, or ends it after `limit`. Fails with the reason why it does not answer
    /// as it must: the first line of its standard error, if it has one.
    pub(super) fn run(mut self, limit: Duration) -> Result<(), String> {
        let mut child = self
            .command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| error.to_string())?;
        let (done, ended) = mpsc::channel();
        watch(&child, done.clone());
        let said = read(child.stdout.take(), done.clone());
        let complained = read(child.stderr.take(), done);
        if let Some(mut stdin) = child.stdin.take() {
            // A pipe holds it all, and it need not be read.
            let _ = stdin.write_all(self.input.as_bytes());
        }
        // Without a message all senders are gone: it has closed its outputs.
        if ended.recv_timeout(limit) == Err(mpsc::RecvTimeoutError::Timeout) {
            let _ = child.kill();
            let _ = child.wait();
            return Err(format!("it did not end within {} s", limit.as_secs_f64()));
        }
        let status = child.wait().map_err(|error| error.to_string())?;
        // A program that it left behind may hold the pipes.
        let said = said.recv_timeout(ON_ITS_WAY).unwrap_or_default();
        let complained = complained.recv_timeout(ON_ITS_WAY).unwrap_or_default();
        let is_right = status.code() == Some(self.code) && said == self.says;
        if is_right && complained.contains(self.complains) {
            return Ok(());
        }
        let line = complained.lines().next().unwrap_or_default().trim();
        if line.is_empty() {
            return Err(format!("its answer is not one of this protocol ({status})"));
        }
        Err(line.chars().take(SHOWN).collect())
    }
}

/// Reads a pipe in a thread, and sends what it holds when it ends, or when that is too long.
fn read(
    pipe: Option<impl Read + Send + 'static>,
    done: mpsc::Sender<()>,
) -> mpsc::Receiver<String> {
    let (sender, whole) = mpsc::channel();
    if let Some(mut pipe) = pipe {
        thread::spawn(move || {
            let mut bytes = Vec::new();
            let _ = pipe.by_ref().take(LONGEST).read_to_end(&mut bytes);
            let _ = sender.send(String::from_utf8_lossy(&bytes).into_owned());
            // It may write more, and a full pipe would block it.
            let _ = io::copy(&mut pipe, &mut io::sink());
            drop(done);
        });
    }
    whole
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
    use clap::ValueEnum;

    use super::*;
    use crate::clock::Timer;

    fn shell(script: &str, limit: Duration) -> Result<(), String> {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        trial(command).run(limit)
    }

    fn trial(command: Command) -> Trial {
        Trial {
            command,
            input: "in".to_owned(),
            code: 0,
            says: "out\n",
            complains: "",
        }
    }

    #[test]
    fn only_the_answer_of_the_protocol_is_one() {
        assert_eq!(shell("read line; echo out; echo fine >&2", LIMIT), Ok(()));
        assert_eq!(shell("exec <&-; echo out", LIMIT), Ok(()));
        for other in [
            "echo out; exit 3",
            "echo other",
            "echo out; echo out",
            "true",
        ] {
            let why = shell(other, LIMIT).unwrap_err();
            assert!(why.contains("not one of this protocol"), "{other}: {why}");
        }
        let mut complaint = trial(Command::new("/bin/sh"));
        complaint.command.args(["-c", "echo out; echo other >&2"]);
        complaint.complains = "this";
        assert_eq!(complaint.run(LIMIT), Err("other".to_owned()));
    }

    #[test]
    fn the_reason_is_what_it_says_first() {
        let said = shell("echo 'no such option' >&2; echo more >&2; exit 2", LIMIT);
        assert_eq!(said, Err("no such option".to_owned()));
        let absent = trial(Command::new("/no/such/program")).run(LIMIT);
        let absent = absent.unwrap_err();
        assert!(absent.contains("No such file"), "{absent}");
        let long = "head -c 300000 /dev/zero | tr '\\0' x >&2; exit 1";
        assert_eq!(shell(long, LIMIT), Err("x".repeat(SHOWN)));
        let long = "head -c 300000 /dev/zero | tr '\\0' x";
        assert!(shell(long, LIMIT).is_err());
    }

    #[test]
    fn a_program_that_hangs_is_ended_and_one_left_behind_is_not_waited_for() {
        let timer = Timer::start();
        let said = shell("exec sleep 60", Duration::from_millis(50)).unwrap_err();
        assert_eq!(said, "it did not end within 0.05 s");
        let said = shell("exec >&- 2>&-; exec sleep 60", Duration::from_millis(50));
        assert!(said.is_err());
        assert!(shell("sleep 15 & exit 0", LIMIT).is_err());
        assert!(timer.elapsed() < LIMIT);
    }

    #[test]
    fn options_for_helpers_are_not_passed_on() {
        for tool in Tool::value_variants() {
            let trial = Trial::of(*tool, Path::new("/p"));
            let mut set = trial.command.get_envs();
            assert!(set.any(|set| set == (FLAGS.as_ref(), None)), "{tool:?}");
        }
    }
}
