//! Tests that run in a process of their own, because they need an environment
//! of their own.

use std::{
    io::Read,
    process::{Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use gce_auth::docs::environment::VARIABLES;

/// What a child is told to do with.
pub(crate) const TASK: &str = "GCE_AUTH_TEST_TASK";
/// Before each line that a child says something with.
const SAYS: &str = "the child says: ";

/// Variables of proxies, which the library must not read.
const PROXIES: [&str; 8] = [
    "HTTP_PROXY",
    "http_proxy",
    "HTTPS_PROXY",
    "https_proxy",
    "ALL_PROXY",
    "all_proxy",
    "NO_PROXY",
    "no_proxy",
];

/// This test binary, to run the one test `test` with `task`; in `wrapper`
/// (a command and its arguments) if there is one.
pub(crate) fn child(wrapper: &[&str], test: &str, task: &str) -> Command {
    let this = std::env::current_exe().unwrap();
    let mut command = match wrapper {
        [] => Command::new(this),
        [program, arguments @ ..] => {
            let mut command = Command::new(program);
            command.args(arguments).arg(this);
            command
        }
    };
    command.args([
        test,
        "--exact",
        "--ignored",
        "--nocapture",
        "--test-threads=1",
    ]);
    for name in VARIABLES.iter().chain(&PROXIES) {
        command.env_remove(name);
    }
    command.env(TASK, task);
    command
}

/// One line of what a child has to say, to be printed.
pub(crate) fn says(line: &str) -> String {
    format!("\n{SAYS}{line}")
}

/// What the child said, line by line. Fails where it fails, or takes longer
/// than `limit`.
pub(crate) fn heard(mut command: Command, limit: Duration) -> Vec<String> {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let out = read(child.stdout.take().unwrap());
    let err = read(child.stderr.take().unwrap());
    // Its output ends when it does.
    let (out, hung) = match out.recv_timeout(limit) {
        Ok(out) => (out, false),
        Err(_) => {
            let _ = child.kill();
            (out.recv().unwrap_or_default(), true)
        }
    };
    let status = child.wait().unwrap();
    let err = err.recv().unwrap_or_default();
    assert!(!hung, "the child hung\n{out}\n{err}");
    assert!(status.success(), "the child: {status}\n{out}\n{err}");
    let lines = out.lines().filter_map(|line| line.strip_prefix(SAYS));
    lines.map(str::to_owned).collect()
}

/// All that comes, once it has ended.
fn read(mut pipe: impl Read + Send + 'static) -> mpsc::Receiver<String> {
    let (send, receive) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = pipe.read_to_end(&mut bytes);
        send.send(String::from_utf8_lossy(&bytes).into_owned())
    });
    receive
}
